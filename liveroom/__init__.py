"""The back end of a live-commerce room."""

__version__ = "0.1.0"
