"""A metrics page as a template: lines with slots, filled from what an engine counts and shows."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.tally import BUCKETS, NAMES, SLICES

PLAIN = (
    "running",
    "waiting",
    "kv_used",
    "used_blocks",
    "free_blocks",
    "input_tokens",
    "output_tokens",
    "finished_stop",
    "finished_length",
    "finished",
    "preemptions",
    "cpu_s",
)
POSITION: dict[str, int] = {name: index for index, name in enumerate(PLAIN)}
for _name, _part in SLICES.items():
    for _index in range(_part.start, _part.stop):
        POSITION[f"{_name}:{_index - _part.start}"] = len(PLAIN) + _index
_BUCKETS_END = len(PLAIN) + max(part.stop for part in SLICES.values())
for _index, _name in enumerate(NAMES):
    POSITION[f"{_name}:sum"] = _BUCKETS_END + _index


class Sheet:
    """Lines of a template and the slots of its numbers; `common` labels go on every line."""

    def __init__(self, common: str = "") -> None:
        self.common = common
        self.lines: list[str] = []
        self.slots: list[str] = []

    def family(self, kind: str, name: str, brief: str) -> None:
        """The comment lines of a family."""
        self.lines.append(f"# HELP {name} {brief}\n# TYPE {name} {kind}\n")

    def sample(self, name: str, slot: str | float, *, labels: str = "") -> None:
        """One line: a slot to fill in, or a constant."""
        both = ",".join(part for part in (self.common, labels) if part)
        value = "%s" if isinstance(slot, str) else str(float(slot))
        if isinstance(slot, str):
            self.slots.append(slot)
        self.lines.append(f"{name}{{{both}}} {value}\n" if both else f"{name} {value}\n")

    def single(self, kind: str, name: str, brief: str, slot: str | float) -> None:
        """A family of one series."""
        self.family(kind, name, brief)
        self.sample(name, slot)

    def histogram(self, name: str, brief: str, source: str) -> None:
        """A histogram with the buckets of `source`."""
        self.family("histogram", name, brief)
        for index, bound in enumerate((*BUCKETS[source], float("inf"))):
            le = "+Inf" if bound == float("inf") else str(bound)
            self.sample(f"{name}_bucket", f"{source}:{index}", labels=f'le="{le}"')
        self.sample(f"{name}_count", f"{source}:{len(BUCKETS[source])}")
        self.sample(f"{name}_sum", f"{source}:sum")


def label_text(pairs: Mapping[str, object]) -> str:
    """Label pairs as they stand between braces."""
    return ",".join(f'{name}="{value}"' for name, value in pairs.items())
