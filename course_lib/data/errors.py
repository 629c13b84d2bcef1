"""The error for a data set that cannot be found, and the warnings where a set gives other than was asked for."""

from __future__ import annotations


class DataNotFound(FileNotFoundError):
    """A data set is not on this machine and cannot be downloaded; the message says what works instead."""


class DataWarning(UserWarning):
    """A data set gives other than was asked for; the message says what was taken instead."""


class FewerLabels(DataWarning):
    """A few-label split has fewer images of a class than were asked for."""
