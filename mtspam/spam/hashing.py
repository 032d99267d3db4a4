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

_FEATURES = 4096  # of a message, to begin with; ordinary mail has about half as many


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
        self._room = np.empty(self.extractor.max_features, np.uint32)

    def hash(
        self, messages: Sequence[bytes], *, with_starter: bool = True
    ) -> tuple[Features, NDArray[np.float64]]:
        """Return features and starter margins; noughts where the starter is not asked."""
        starter = self._starter if with_starter else None
        extractor, n = self.extractor, len(messages)
        most = extractor.max_features
        # A block for one message alone would cost more to get than to fill.
        values = self._room if n == 1 else np.empty(n * _FEATURES + most, np.uint32)
        offsets = np.zeros((n, N_VIEWS + 1), np.int64)
        priors = np.zeros(n)
        end = 0
        for row, raw in enumerate(messages):
            if end + most > values.shape[0]:
                values = np.concatenate([values, np.empty_like(values)])
            extractor.read(raw)
            offsets[row, 0] = end
            end = extractor.seal_row(values, offsets[row])
            if starter is not None:
                priors[row] = starter.margin_of(extractor.bases, extractor.counts)
        values = values[:end]
        return Features(values.copy() if n == 1 else values, offsets), priors

    def defects(self) -> tuple[str, ...]:
        """Name what is wrong with the form of the message hashed last."""
        defects = self.extractor.defects
        return tuple(name for bit, name in DEFECTS.items() if defects & bit) if defects else ()

    @staticmethod
    def examples(features: Features) -> list[Example]:
        """Cut a block into the examples that the journal keeps; the block is sorted in place."""
        # More than the longest view needs, but what is not touched costs nothing.
        spare = np.empty(len(features.values), np.uint32)
        sort_views(features.values, features.offsets, spare)
        return MailHasher.unsorted(features)

    @staticmethod
    def unsorted(features: Features) -> list[Example]:
        """Cut a block into examples whose views are as they are."""
        return [
            Example(tuple([features.values[a:b] for a, b in pairwise(row)]))
            for row in features.offsets.tolist()
        ]
