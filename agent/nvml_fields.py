"""NVML's numbered fields: which signal each is and in which unit. A table and its reading.

Numbers and units are those of nvml.h (`NVML_FI_DEV_*`), which never change once given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agent.vocabulary import Reading, attributes

FieldKey = tuple[int, int]
"""Field number and scope: a link, or 0 where the field has none."""

ALL_LINKS = 0xFFFFFFFF
MAX_LINKS = 18
"""Links of a Blackwell GPU; earlier ones have fewer and answer the rest with an error."""

Scale = tuple[float, float]
"""What a number is multiplied and divided by, so that whole numbers stay exact."""

ONE: Scale = (1, 1)
MILLI: Scale = (1, 1_000)
NANO: Scale = (1, 1_000_000_000)
KIBI: Scale = (1_024, 1)

BOARD = {"hw.type": "gpu", "joulewise.scope": "gpu"}
GPU = {"hw.type": "gpu"}
MEMORY = {"hw.sensor_location": "memory"}
SENT = {"network.io.direction": "transmit"}
RECEIVED = {"network.io.direction": "receive"}


@dataclass(frozen=True, slots=True)
class Source:
    """Fields that give one signal: the first of `keys` that answers; `added`, all that do."""

    signal: str
    keys: tuple[FieldKey, ...]
    scale: Scale = ONE
    attributes: Mapping[str, str] = field(default_factory=dict)
    added: bool = False
    zero_is_absent: bool = False


def _links(number: int) -> tuple[FieldKey, ...]:
    return tuple((number, link) for link in range(MAX_LINKS))


def _throttle(reason: str, *numbers: int, added: bool = False) -> Source:
    keys = tuple((number, 0) for number in numbers)
    return Source(
        "joulewise.gpu.throttle.time", keys, NANO, {"joulewise.reason": reason}, added=added
    )


def _nvlink_errors(kind: str, *keys: FieldKey) -> Source:
    return Source(
        "joulewise.gpu.nvlink.errors", keys, attributes={"error.type": kind}, added=len(keys) > 1
    )


def _ecc(kind: str, number: int) -> Source:
    return Source("hw.errors", ((number, 0),), attributes={**GPU, "error.type": kind})


def _remaps(state: str, number: int, kind: str | None = None) -> Source:
    named = {"joulewise.state": state} | ({"error.type": kind} if kind else {})
    return Source("joulewise.gpu.row_remaps", ((number, 0),), attributes=named)


NVLINK_IO = "joulewise.gpu.nvlink.io"
FIELDS = (
    Source("hw.energy", ((83, 0),), MILLI, BOARD),
    Source("hw.power", ((185, 0), (186, 0)), MILLI, BOARD),  # mean of a second, else the moment
    Source("hw.temperature", ((82, 0),), ONE, MEMORY, zero_is_absent=True),
    Source("hw.gpu.io", ((197, 0),), attributes=SENT),
    Source("hw.gpu.io", ((198, 0),), attributes=RECEIVED),
    Source("joulewise.gpu.pcie.replays", ((94, 0),)),
    # Up to NVLink 4 one field adds the links, in KiB; from NVLink 5 on each link counts its bytes.
    Source(NVLINK_IO, ((138, ALL_LINKS),), KIBI, SENT),
    Source(NVLINK_IO, ((139, ALL_LINKS),), KIBI, RECEIVED),
    Source(NVLINK_IO, _links(202), ONE, SENT, added=True),
    Source(NVLINK_IO, _links(204), ONE, RECEIVED, added=True),
    _nvlink_errors("crc_flit", (38, 0)),
    _nvlink_errors("crc_data", (45, 0)),
    _nvlink_errors("replay", (52, 0)),
    _nvlink_errors("recovery", (59, 0)),
    _nvlink_errors("recovery", *_links(214)),
    _throttle("power_cap", 74),
    _throttle("thermal_sw", 269, 75),
    _throttle("thermal_hw", 270),
    _throttle("power_brake", 271),
    _throttle("sync_boost", 76),
    _throttle("other", 77, 79, added=True),  # board limit and reliability
    _ecc("corrected", 3),
    _ecc("uncorrected", 4),
    _remaps("done", 142, "corrected"),
    _remaps("done", 143, "uncorrected"),
    _remaps("pending", 144),
    _remaps("failed", 145),
)  # fmt: skip
"""A signal that two sources give is taken from the first that answers."""


def keys(sources: Iterable[Source] = FIELDS) -> tuple[FieldKey, ...]:
    """Every field to ask for, each once."""
    return tuple(dict.fromkeys(key for source in sources for key in source.keys))


def read_fields(values: Mapping[FieldKey, float]) -> Iterator[Reading]:
    """The readings that these field values give, in base units."""
    given = set()
    for source in FIELDS:
        found = [values[key] for key in source.keys if key in values]
        identity = (source.signal, attributes(dict(source.attributes)))
        if not found or identity in given:
            continue
        value = sum(found) if source.added else found[0]
        if math.isfinite(value) and not (source.zero_is_absent and value == 0):
            given.add(identity)
            multiplier, divisor = source.scale
            yield Reading(*identity, value * multiplier / divisor)
