"""The very first run: kernels are compiled once, on several processors, while people are told."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

import numpy as np

from mtspam.commands.group import say_error
from mtspam.commands.progress import is_watched
from mtspam.config import ModelSettings, Settings
from mtspam.kernels import learning
from mtspam.mail.extractor import Extractor
from mtspam.mail.specimen import SPECIMEN
from mtspam.model import Batch, Learner
from mtspam.spam.hashing import MailHasher
from mtspam.types import Features, UserKey

__all__ = ["NOTICE", "compile_kernels", "is_compiled"]

NOTICE = "On the very first run the filter is compiled, once: 10 to 25 seconds."

_FORGETFUL = (
    "nothing compiled can be kept, so that each run takes some 20 seconds more:"
    " let NUMBA_CACHE_DIR name a folder that this user, and nobody else, can write to"
)


def is_compiled() -> bool:
    """Tell whether there is nothing to compile for later: it was done, or it would not be kept."""
    stats = getattr(learning.step_messages, "stats", None)
    if stats is None or stats.cache_path is None:  # there is no compiler, or no cache
        return True
    return any(Path(stats.cache_path).glob("learning.step_messages-*.nbi"))


def _is_forgetful() -> bool:
    """Tell whether machine code is lost when the process ends."""
    stats = getattr(learning.step_messages, "stats", None)
    return stats is not None and stats.cache_path is None


def compile_kernels() -> None:
    """Compile all kernels if none is, in as many processes as there are parts of about one size.

    Whatever goes wrong in a process is no harm: what is not compiled now is when it is used.
    """
    if _is_forgetful():
        say_error(_FORGETFUL)
    if is_compiled() or not sys.platform.startswith("linux"):
        return
    context = multiprocessing.get_context("fork")
    helpers = [
        context.Process(target=_quietly, args=(part,), daemon=True)
        for part in (_make_features, _learn)
    ]
    for helper in helpers:
        helper.start()
    try:
        # Not before the helpers are forked: the spinner is a thread.
        with _told():
            _read()
            for helper in helpers:
                helper.join()
    finally:
        for helper in helpers:
            helper.terminate()


@contextmanager
def _told() -> Iterator[None]:
    if not is_watched():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(NOTICE):
        yield


def _quietly(part: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    part()


class _Reader(Extractor):
    """Takes mail apart and leaves the making of features to another process."""

    def _find_features(self) -> None:
        pass


def _read() -> None:
    _Reader(Settings().mail, 1).read(SPECIMEN)


def _make_features() -> None:
    # The half of reading that needs no message: it begins with an empty text.
    Extractor(Settings().mail, 1)._find_features()


def _learn() -> None:
    """Run what comes after reading: hashing, learning, packing, explaining."""
    from mtspam.journal import pack_example, unpack_many
    from mtspam.model import contributions

    settings = ModelSettings(shared_bits=8, personal_bits=8, group_bits=8, auxiliary_bits=8)
    learner = Learner(settings, 5)
    features = Features(np.arange(5, dtype=np.uint32), np.arange(6)[None, :])
    user = UserKey(bytes(15) + b"u")
    learner.learn_many(
        Batch(
            features=features,
            users=[user],
            values=np.ones(1, np.int8),
            times=np.array([int(time())]),
            priors=np.zeros(1),
        )
    )
    contributions(learner, 4, features.values[4:], user=user)
    packed = [pack_example(example) for example in MailHasher.examples(features)]
    unpack_many(packed, [1])
