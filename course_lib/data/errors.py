"""The error for a data set that cannot be found."""

from __future__ import annotations


class DataNotFound(FileNotFoundError):
    """A data set is not on this machine and cannot be downloaded; the message says what works instead."""
