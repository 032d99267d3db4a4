"""How many of what, as a person would say it."""

__all__ = ["counted"]


def counted(n: int, one: str) -> str:
    """Write a number and what it counts, in the plural where that is due.

    Examples
    --------
    >>> counted(1, "label"), counted(2_500, "new label")
    ('1 label', '2,500 new labels')
    """
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"
