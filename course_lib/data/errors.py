"""The error of data that is not there."""

from __future__ import annotations


class DataNotFound(FileNotFoundError):
    """A data set is neither on this machine nor to be had from the network; the message says what works instead."""
