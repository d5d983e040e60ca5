"""A proposed configuration as a diff: exact flags and keys of the engine that runs there."""

from __future__ import annotations

from advisor.advise.candidates import Candidate
from advisor.advise.recommendation import FlagChange
from advisor.advise.rules import Rule
from advisor.catalog.engines import EngineError, Knob, flag
from advisor.score.situation import Situation


def diff(rule: Rule, situation: Situation, found: Candidate) -> tuple[FlagChange, ...]:
    """The lines that turn today's configuration into the proposed one.

    Raises:
        EngineError: if the catalog has no flag of this engine for the change.
    """
    knob = rule.propose.knob
    if knob == "release":
        return (_release(situation),)
    now, then = situation.configuration, found.configuration
    if now is None or then is None:
        raise EngineError(f"the configuration of {situation.instance.id} is unknown")
    if knob == "weights":
        return (_weights(situation, now.weights, then.weights),)
    if knob == "tensor_parallel":
        return (
            _line(_knob(situation, knob), now.tensor_parallel, then.tensor_parallel),
            FlagChange("GPUs of the replica", found.now, found.proposed, "action"),
        )
    return (_line(_knob(situation, knob), found.now, found.proposed),)


def _knob(situation: Situation, name: str) -> Knob:
    now = situation.configuration
    if now is None:
        raise EngineError(f"the configuration of {situation.instance.id} is unknown")
    return flag(now.engine, name, now.engine_version)


def _line(knob: Knob, current: float | str | None, proposed: float | str) -> FlagChange:
    before = None if current is None else knob.value(current)
    return FlagChange(knob.key, before, knob.value(proposed), knob.sets)


def _weights(situation: Situation, now: str, word: str) -> FlagChange:
    """Another checkpoint, or a flag where the engine quantizes the one it has while loading."""
    knob = _knob(situation, "weights")
    try:
        online = _knob(situation, "weights_online")
    except EngineError:
        online = None
    if online is not None and word in online.values and now == "bf16":
        return FlagChange(online.key, None, online.value(word), online.sets)
    model = situation.instance.model
    return FlagChange(knob.key, model, _checkpoint(situation, word, knob), knob.sets)


def _checkpoint(situation: Situation, word: str, knob: Knob) -> str:
    """The kind of checkpoint of the model to serve."""
    return f"{short(situation.instance.model)}: {knob.value(word)}"


def short(model: str | None) -> str:
    """A model's name without its organisation."""
    return (model or "the model").rsplit("/", 1)[-1]


def _release(situation: Situation) -> FlagChange:
    name = short(situation.instance.model)
    return FlagChange(f"{name} outside its busy hours", "running", "stopped", "action")
