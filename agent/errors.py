"""The agent's exception family: errors meant for a person, whose message names the next step.

AgentError
├── NoData                    a source has nothing to read now, and why
├── PageError                 what was to be read is no page of that source
│   └── UnsupportedProgramError   it is a page of a program that is not read yet
├── SettingsError             a configuration that cannot be used
├── SpoolError                the spool cannot be opened or written
│   ├── ForeignSpoolError     the file is not a spool of ours
│   ├── SpoolLockedError      another agent uses it
│   └── SpoolFullError        the disk is full
└── DeliveryError             a batch could not be delivered now; it stays spooled
"""

from __future__ import annotations


class AgentError(Exception):
    """What was being done, to what, the cause and the next step."""


class NoData(AgentError):  # noqa: N818 - an answer of a source, no fault of ours
    """A source has nothing to read now; the message says why and what would change it."""


class PageError(AgentError):
    """What was to be read is no page, an empty one, or a page of another source."""


class UnsupportedProgramError(PageError):
    """A page of a program that is not read yet."""


class SettingsError(AgentError):
    """A setting is unknown, of the wrong type or contradicts another."""


class SpoolError(AgentError):
    """The spool cannot be opened, read or written."""


class ForeignSpoolError(SpoolError):
    """The file exists and is not a spool of ours; it is left as it is."""


class SpoolLockedError(SpoolError):
    """Another process holds the spool."""


class SpoolFullError(SpoolError):
    """The disk has no room; the batch was not stored."""


class DeliveryError(AgentError):
    """A batch could not be delivered now. `wait_s` is what the receiver asked for, if it did."""

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s
