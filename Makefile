PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint check bench calibrate clean
install: .venv/.installed

.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  v=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	  echo "This Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install $$v"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Joulewise needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable '.[advisor]'
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --group dev
	@touch $@

demo: install
	$(BIN)/joulewise-demo $(if $(ONCE),--once)

test: .venv/.installed-dev
	$(BIN)/pytest $(ARGS)

lint: .venv/.installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/.installed-dev
	$(BIN)/python bench/page.py && $(BIN)/python bench/ingest.py

# Refits the performance model and rewrites advisor/performance/data/fit.json.
calibrate: install
	$(BIN)/python -m advisor.performance.calibrate $(or $(DATA),../shared/data/benchmarks)

clean:
	rm -rf .venv out
