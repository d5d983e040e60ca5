"""dcgm-exporter's page as readings of GPUs: sentinels, MIG, links, doubled series.

A GPU is its UUID. What belongs to the board is repeated on each MIG slice, pod and job: the first
stands, nothing is ever summed over them. What the fields are called is in `agent.dcgm_fields`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from agent.dcgm_fields import (
    FIELDS,
    FRAMEBUFFER,
    HARDWARE_SLOWDOWN,
    HOST_POWER,
    ITS_CAUSES,
    MEBI,
    NAMES,
    THROTTLE,
    THROTTLE_BITS,
    XID,
    Field,
)
from agent.page import Labels, Page, PageReader
from agent.vocabulary import Attributes, Reading, attributes

__all__ = ["NAMES", "DcgmReader", "read_dcgm"]

INT64_BLANK = 9.2e18
BLANKS = frozenset(base + n for base in (0x7FFFFFF0, 140_737_488_355_328) for n in range(4))
"""Blank, not found, not supported, no permission: as int32 and as double, and from INT64_BLANK on
as int64, which a double does not hold exactly (dcgm_structs.h). Only these exact values: counters
may well be larger than the blank of doubles."""
LABEL_BLANKS = frozenset(
    {"", "<<<NULL>>>", "<<<NOT_FOUND>>>", "<<<NOT_SUPPORTED>>>", "<<<NOT_PERM>>>"}
)

UUIDS = ("UUID", "uuid", "gpu_uuid")
SLICE = "GPU_I_ID"
MIG = (SLICE, "GPU_I_PROFILE")
PARTS = {
    SLICE: "joulewise.mig.slice",
    "GPU_I_PROFILE": "joulewise.mig.profile",
    "nvlink": "joulewise.nvlink.link",
}
INFO = {
    "modelName": "hw.model",
    "model_name": "hw.model",
    "DCGM_FI_DRIVER_VERSION": "hw.driver_version",
    "DCGM_FI_SYSTEM_DRIVER_VERSION": "hw.driver_version",
    "DCGM_FI_DEV_VBIOS_VERSION": "joulewise.gpu.vbios",
    "DCGM_FI_DEV_FABRIC_CLUSTER_UUID": "joulewise.fabric.cluster",
    "DCGM_FI_DEV_FABRIC_CLIQUE_ID": "joulewise.fabric.clique",
    "DCGM_FI_DEV_CUDA_COMPUTE_CAPABILITY": "joulewise.gpu.compute_capability",
    "DCGM_FI_CUDA_GPU_COMPUTE_CAPABILITY": "joulewise.gpu.compute_capability",
}

Found = dict[tuple[str, Attributes], float]


class DcgmReader:
    """Reads pages of one exporter again and again."""

    def __init__(self) -> None:
        self._reader = PageReader(NAMES)

    def read(self, text: bytes) -> list[Reading]:
        """The readings of one page; an empty or foreign page has none."""
        return read_dcgm(self._reader.read(text))


def read_dcgm(page: Page) -> list[Reading]:
    """The readings of one page, in base units; what the GPU does not have is absent."""
    found: Found = {}
    for field in FIELDS:
        for pairs, value in _field(field, page).items():
            key = (field.signal, pairs)
            if field.added:
                found[key] = found.get(key, 0.0) + value
            else:
                found.setdefault(key, value)
    _without_sums(found)
    found |= _framebuffer(page, found)
    found |= dict.fromkeys(_xids(page), 1.0)
    found |= dict(_throttling(page))
    found |= _host_power(page)
    found |= {("joulewise.gpu.info", pairs): 1.0 for pairs in _infos(page)}
    return [Reading(signal, pairs, value) for (signal, pairs), value in found.items()]


def _field(field: Field, page: Page) -> dict[Attributes, float]:
    """The values of one field by attributes; of names and of repeated rows the first stands."""
    found: dict[Attributes, float] = {}
    fixed = attributes(dict(field.attributes))
    times, per = field.scale
    for labels, value in _rows(page, field.names):
        pairs = _attributes(labels, fixed, of_slice=field.of_slice)
        if pairs in found or _is_blank(value):
            continue
        if value or not field.zero_is_absent:
            found[pairs] = value * times / per
    return found


def _rows(page: Page, names: Iterable[str]) -> Iterator[tuple[Labels, float]]:
    """Rows of GPUs under these names, in their order, whole GPUs before parts of them."""
    for name in names:
        rows = [(series.labels, value) for series, value in page.samples(name)]
        yield from sorted((row for row in rows if _uuid(row[0])), key=lambda row: _part(row[0]))


def _is_blank(value: float) -> bool:
    return not -math.inf < value < INT64_BLANK or value in BLANKS


@lru_cache(maxsize=65_536)
def _part(labels: Labels) -> tuple[bool, bool]:
    """Whether a row is of a MIG slice, and whether of one pod's share: the order of rows."""
    values = dict(labels)
    return bool(values.get(SLICE)), bool(values.get("vgpu"))


@lru_cache(maxsize=65_536)
def _uuid(labels: Labels) -> str | None:
    values = dict(labels)
    return next((values[name] for name in UUIDS if values.get(name)), None)


@lru_cache(maxsize=65_536)
def _attributes(labels: Labels, fixed: Attributes, *, of_slice: bool) -> Attributes:
    """Whom a row describes: the GPU, the link and, for what differs between slices, the slice."""
    found = {**dict(fixed), "hw.id": _uuid(labels) or ""}
    for label, value in labels:
        if value and label in PARTS and (of_slice or label == "nvlink"):
            found[PARTS[label]] = value
    return attributes(found)


def _without_sums(found: Found) -> None:
    """Leave out an NVLink rate of both directions where the directions are there."""
    signal = "joulewise.gpu.nvlink.rate"
    directed = {
        attributes({k: v for k, v in pairs if k != "network.io.direction"})
        for name, pairs in found
        if name == signal and any(k == "network.io.direction" for k, _ in pairs)
    }
    for pairs in directed:
        found.pop((signal, pairs), None)


def _framebuffer(page: Page, found: Found) -> Found:
    """The memory limit as used, free and reserved together, where it is not on the page itself."""
    signal = "hw.gpu.memory.limit"
    columns = [_field(Field(signal, (name,), MEBI, of_slice=True), page) for name in FRAMEBUFFER]
    return {
        (signal, pairs): used + columns[1][pairs] + columns[2][pairs]
        for pairs, used in columns[0].items()
        if pairs in columns[1] and pairs in columns[2] and (signal, pairs) not in found
    }


def _xids(page: Page) -> Iterator[tuple[str, Attributes]]:
    for labels, code in _rows(page, XID):
        if not _is_blank(code) and code > 0:
            pairs = _attributes(labels, (("joulewise.xid", f"{code:.0f}"),), of_slice=False)
            yield "joulewise.gpu.xid", pairs


def _throttling(page: Page) -> Iterator[tuple[tuple[str, Attributes], float]]:
    """1 or 0 for each reason that clocks may be held back for."""
    seen: set[str | None] = set()
    for labels, value in _rows(page, THROTTLE):
        if _is_blank(value) or value < 0 or _uuid(labels) in seen:
            continue
        seen.add(_uuid(labels))
        mask = int(value)
        if mask & ITS_CAUSES:
            mask &= ~HARDWARE_SLOWDOWN
        for reason, bits in THROTTLE_BITS.items():
            pairs = _attributes(labels, (("joulewise.reason", reason),), of_slice=False)
            yield ("joulewise.gpu.throttle.active", pairs), float(bool(mask & bits))


def _host_power(page: Page) -> Found:
    """Watts of the host's CPUs or modules, summed over sockets."""
    found: Found = {}
    for scope, names in HOST_POWER.items():
        sockets: dict[str, float] = {}
        for name in names:
            for series, value in page.samples(name):
                if not _is_blank(value):
                    sockets.setdefault(dict(series.labels).get("cpu", ""), value)
        if sockets:
            found["hw.host.power", (("joulewise.scope", scope),)] = sum(sockets.values())
    return found


def _infos(page: Page) -> Iterable[Attributes]:
    """What labels say of each GPU and of each MIG slice, unless that is no more than the UUID."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for labels in dict.fromkeys(series.labels for series in page):
        if uuid := _uuid(labels):
            values = dict(labels)
            _describe(found.setdefault((uuid, ""), {"hw.id": uuid}), values)
            if values.get(SLICE):
                info = found.setdefault((uuid, values[SLICE]), {"hw.id": uuid})
                _describe(info, values)
                info |= {PARTS[name]: values[name] for name in MIG if values.get(name)}
                info["joulewise.mig.parent"] = uuid
    return (attributes(info) for info in found.values() if len(info) > 1)


def _describe(info: dict[str, str], values: Mapping[str, str]) -> None:
    for label, attribute in INFO.items():
        if values.get(label, "") not in LABEL_BLANKS:
            info.setdefault(attribute, values[label])
