"""What an engine says of itself over HTTP besides metrics: version, model, arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.argv import MODEL, MODEL_LENGTH, SEQUENCES, Program, program_of, read_options
from agent.precision import weights_of

Ask = Callable[[str], Any]
"""Gets the JSON at a path; None where there is none."""

SGLANG = program_of("sglang")
VERSION = "joulewise.engine.version"


def ask_engine(engine: str, ask: Ask) -> dict[str, str]:
    """Attributes of `joulewise.instance.info` that the engine's own endpoints give."""
    if engine == "sglang":
        info = _object(ask("/server_info")) or _object(ask("/get_server_info"))
        return {**_models(ask("/v1/models")), **_server_info(info)}
    version = _text(_object(ask("/version")).get("version"))
    said = {VERSION: version} if version else {}
    return {**said, **_models(ask("/v1/models"))}


def _models(document: Any) -> dict[str, str]:
    """The model served: the first that is no adapter of another."""
    listed = _object(document).get("data")
    cards = [_object(card) for card in listed] if isinstance(listed, list) else []
    card = next((card for card in cards if not card.get("parent")), {})
    said = {
        MODEL: _text(card.get("root")) or _text(card.get("id")),
        MODEL_LENGTH: _text(card.get("max_model_len")),
    }
    return {name: text for name, text in said.items() if text}


def _server_info(info: Mapping[str, Any]) -> dict[str, str]:
    """SGLang's resolved arguments, which have its options' names."""
    if not info or SGLANG is None:
        return {}
    said = read_options(SGLANG, _by_meaning(SGLANG, info))
    states = info.get("internal_states")
    state = _object(states[0]) if isinstance(states, list) and states else {}
    if sequences := _text(state.get("effective_max_running_requests_per_dp")):
        said[SEQUENCES] = sequences
    if version := _text(info.get("version")):
        said[VERSION] = version
    return said


def _by_meaning(program: Program, info: Mapping[str, Any]) -> dict[str, str]:
    values: dict[str, str] = {}
    for option, meaning in program.options.items():
        if text := _text(info.get(option.replace("-", "_"))):
            values.setdefault(meaning, text)
    for switch, meaning in program.switches.items():
        if info.get(switch.replace("-", "_")) is True:
            values[meaning] = "true"
    return values


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A text or number as text; nothing for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def checkpoint_weights(config: Mapping[str, Any]) -> str | None:
    """The precision of weights by a checkpoint's `config.json`."""
    quantization = _object(config.get("quantization_config"))
    method = _text(quantization.get("quant_algo")) or _text(quantization.get("quant_method"))
    if method:
        return weights_of(method)
    return weights_of(_text(config.get("torch_dtype")) or _text(config.get("dtype")))
