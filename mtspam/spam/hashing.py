"""Raw messages to what the learner takes: features by the secret seed, the starter's margin."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtspam.config import Settings
from mtspam.errors import DataError
from mtspam.kernels.sorting import sort_views
from mtspam.mail.extractor import DEFECTS, Extractor
from mtspam.mail.views import N_VIEWS
from mtspam.model import Starter
from mtspam.model.starter import PUBLIC_SEED
from mtspam.resources import data_path
from mtspam.snapshot import read_snapshot
from mtspam.types import Example, Features

__all__ = ["MailHasher", "load_starter"]

STARTER_FILE = "starter.snapshot"


def load_starter() -> Starter | None:
    """Return the starter model that travels with the package, None where there is none.

    Raises
    ------
    SnapshotError
        Where it is there and damaged.
    """
    try:
        path = data_path(STARTER_FILE)
    except DataError:
        return None
    return Starter.from_arrays(read_snapshot(path, verify=False).arrays)


class MailHasher:
    """Hashes mail for one installation.

    Parameters
    ----------
    settings
        The limits.
    secret
        The installation's secret; its first bytes are the seed.
    starter
        The starter model, if there is one.
    """

    def __init__(self, settings: Settings, secret: bytes, starter: Starter | None) -> None:
        seed = int.from_bytes(secret[:8], "little")
        self.extractor = Extractor(settings.mail, seed, public_seed=PUBLIC_SEED)
        self._starter = starter

    def hash(
        self, messages: Sequence[bytes], *, with_starter: bool = True
    ) -> tuple[Features, NDArray[np.float64]]:
        """Return features and starter margins; noughts where the starter is not asked."""
        starter = self._starter if with_starter else None
        extractor = self.extractor
        own = _Block(len(messages), extractor.max_features)
        public = _Block(len(messages) if starter else 0, extractor.max_features)
        for row, raw in enumerate(messages):
            extractor.read(raw)
            own.take(row, extractor, public=False)
            if starter is not None:
                public.take(row, extractor, public=True)
        priors = np.zeros(len(messages))
        if starter is not None:
            priors = starter.margins(public.features())
        return own.features(), priors

    def defects(self) -> tuple[str, ...]:
        """Name what is wrong with the form of the message hashed last."""
        return tuple(name for bit, name in DEFECTS.items() if self.extractor.defects & bit)

    @staticmethod
    def examples(features: Features) -> list[Example]:
        """Cut a block into the examples that the journal keeps; the block is sorted in place."""
        size = int(np.diff(features.offsets, axis=1).max(initial=0))
        sort_views(features.values, features.offsets, np.empty(size, np.uint32))
        return [
            Example(tuple(features.values[a:b] for a, b in pairwise(row)))
            for row in features.offsets.tolist()
        ]


class _Block:
    """Features of many messages while they are gathered."""

    def __init__(self, n: int, most: int) -> None:
        self._most = most
        self._values = np.empty(n * 4096 + most, np.uint32)
        self._offsets = np.zeros((n, N_VIEWS + 1), np.int64)
        self._end = 0

    def take(self, row: int, extractor: Extractor, *, public: bool) -> None:
        """Add the message that the extractor read last."""
        if self._end + self._most > self._values.shape[0]:
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._offsets[row] = extractor.seal(self._values, self._end, public=public)
        self._end = int(self._offsets[row, -1])

    def features(self) -> Features:
        """Return what was gathered."""
        return Features(self._values[: self._end], self._offsets)
