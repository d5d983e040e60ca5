"""What can go wrong when a simulated fleet is run."""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulator could not do what it was asked."""


class DemoError(SimulatorError):
    """The demo cannot go on; the message says what, why and what to do."""
