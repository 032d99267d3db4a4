"""The state directory, which the filter shares with the ranking of results."""

from mtspam.state import SECRET_BYTES, StateDirectory

__all__ = ["SECRET_BYTES", "StateDirectory"]
