"""How many connections a worker holds open, over all its faces."""

import logging
import resource

__all__ = ["ConnectionLimit", "allow_descriptors", "connection_limit"]

_log = logging.getLogger(__name__)

_OWN_DESCRIPTORS = 200  # sockets that listen, the journal, the model, libraries


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


def allow_descriptors(most: int) -> None:
    """Let this process open as many files as its connections need, as far as the system allows.

    Most systems begin with 1,024, which a thousand connections use up: whoever came next would
    wait in vain instead of being turned away.

    Parameters
    ----------
    most
        Connections; as many again may be on their way out.
    """
    wanted = 2 * most + _OWN_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < most + _OWN_DESCRIPTORS:
        _log.warning(
            "fewer files may be open (LimitNOFILE) than serve.max_connections needs",
            extra={"allowed": allowed, "needed": most + _OWN_DESCRIPTORS},
        )


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
