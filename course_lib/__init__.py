"""The small library under the course "Learning with Few Labels"."""

__version__ = "0.1.0"
