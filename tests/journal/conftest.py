import hashlib

import numpy as np
import pytest

from mtspam.journal import Journal, LabelEvent
from mtspam.types import Example, GroupKey, LabelKind, UserKey


def user_key(n):
    return UserKey(bytes([n]) * 16 if n else b"")


def digest(n):
    # Spread like real digests, so that the index splits its pages everywhere.
    return hashlib.blake2b(str(n).encode(), digest_size=16).digest()


def example(n, size=20):
    rng = np.random.default_rng(n)
    return Example(
        tuple(np.unique(rng.integers(0, 2**32, k, dtype=np.uint32)) for k in (size, 3, 0))
    )


def label(n, *, user=1, value=1, kind=LabelKind.SPAM, size=20, time=None):
    return LabelEvent(
        time=1_700_000_000 + n if time is None else time,
        user=user_key(user),
        group=GroupKey(b"g" * 16),
        kind=kind,
        value=value,
        weight=1.5,
        prior=0.25,
        digest=digest(n),
        source="test",
        example=example(n, size),
    )


@pytest.fixture
def make_label():
    return label


@pytest.fixture
def make_user():
    return user_key


@pytest.fixture
def make_digest():
    return digest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path):
    with Journal.open(path) as opened:
        yield opened


@pytest.fixture
def rows():
    """What a reader sees, as plain tuples."""

    def read(opened, **limits):
        return [
            row
            for batch in opened.live(**limits)
            for row in zip(
                batch.seq.tolist(),
                batch.time.tolist(),
                batch.user,
                batch.group,
                batch.kind,
                batch.value.tolist(),
                batch.weight.tolist(),
                batch.digest,
                batch.packed,
                strict=True,
            )
        ]

    return read
