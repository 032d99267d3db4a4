"""A spam filter that learns for everybody and for each user at once."""

__all__ = ["__version__"]

__version__ = "0.1.0"
