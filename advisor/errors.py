"""What the advisor raises, as one family; foreign errors are translated into it once, at the edge.

AdvisorError
├── SettingsError    a setting, deployment or token file that cannot be used
├── DataFolderError  a data folder that is not ours, held by another advisor, or unreadable
├── StoreError       the store refused: a full disk, a broken file
├── DecodeError      a request that is not the OTLP we can read
├── OverloadedError  more arrives than can be committed; try again later
└── ListenError      an address that cannot be served on
"""

from __future__ import annotations


class AdvisorError(Exception):
    """Anything the advisor says no to, with what to do next in its message."""


class SettingsError(AdvisorError):
    """A setting, deployment or token file that cannot be used."""


class DataFolderError(AdvisorError):
    """A data folder that is not ours, is held by another advisor, or cannot be read."""


class StoreError(AdvisorError):
    """The store refused to read or write."""


class DecodeError(AdvisorError):
    """A request body that is not an OTLP metrics export of a Joulewise agent."""


class OverloadedError(AdvisorError):
    """More arrives than can be committed; the sender keeps its batch and tries again later."""


class ListenError(AdvisorError):
    """An address that cannot be served on."""
