"""How many connections a worker holds open, over all its faces."""

__all__ = ["ConnectionLimit", "connection_limit"]


class ConnectionLimit:
    """Counts the open connections of this process.

    Parameters
    ----------
    most
        So many may be open at once.

    Examples
    --------
    >>> limit = ConnectionLimit(1)
    >>> limit.enter(), limit.enter()
    (True, False)
    >>> limit.leave()
    >>> limit.enter()
    True
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.n_open = 0
        self.n_refused = 0

    def enter(self) -> bool:
        """Count a new connection; False: there are too many, and this one was not counted."""
        if self.n_open >= self.most:
            self.n_refused += 1
            return False
        self.n_open += 1
        return True

    def leave(self) -> None:
        """Count a connection out that was let in."""
        self.n_open -= 1


_of_this_process: list[ConnectionLimit] = []


def connection_limit(most: int) -> ConnectionLimit:
    """Return the one count of this process; `most` is ``settings.serve.max_connections``.

    All faces of a worker share it, so that no protocol has room which another has used up.
    """
    if not _of_this_process:
        _of_this_process.append(ConnectionLimit(most))
    limit = _of_this_process[0]
    limit.most = most
    return limit
