from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import distinct
from tests.reference import distinct as twin

U64 = st.integers(0, 2**64 - 1)
few = st.binary(max_size=40) | st.lists(st.sampled_from(b"ab"), max_size=60).map(bytes)
found_tokens = st.lists(
    st.tuples(
        st.integers(0, 5) | U64, st.integers(0, 2), st.integers(33, 126), st.integers(0, 9),
        st.integers(0, 2**27 - 1),
    ),
    max_size=60,
)  # fmt: skip
ROOM = 64


class Tables:
    """Scratch that is used again and again, as the extractor does."""

    def __init__(self):
        self.windows = np.zeros(128, np.uint64)
        self.tokens = np.zeros((512, 2), np.uint64)
        self.turn = 0

    def of(self, table, salt=7):
        self.turn += 2
        return table, self.turn, np.uint64(salt)


TABLES = Tables()


def windows_of(head, body, salt=7):
    data = np.zeros((2, ROOM), np.uint8)
    for row, part in enumerate((head, body)):
        data[row, : len(part)] = np.frombuffer(part, np.uint8)
    bases = np.zeros((5, ROOM), np.uint64)
    counts = np.full(5, 3, np.int64)
    sizes = np.array([len(head), len(body)], np.int64)
    distinct.distinct_windows(data, sizes, TABLES.of(TABLES.windows, salt), bases, counts)
    assert counts[2:].tolist() == [3, 3, 3]
    return [bases[row, : counts[row]].tolist() for row in range(2)]


def tokens_of(found, room=ROOM, salt=7):
    packed = np.array(
        [
            (base, view << 62 | kind << 54 | start << 27 | end)
            for base, view, kind, start, end in found
        ]
        or np.zeros((0, 2)),
        np.uint64,
    )
    bases = np.zeros((5, max(room, 1)), np.uint64)
    places = np.zeros((3, room, 3), np.int32)
    counts = np.full(5, 9, np.int64)
    scratch = TABLES.of(TABLES.tokens, salt)
    full = distinct.distinct_tokens(packed, len(found), scratch, bases, places, counts)
    assert counts[:2].tolist() == [9, 9]
    return [
        [(int(bases[2 + v, i]), *places[v, i].tolist()) for i in range(counts[2 + v])]
        for v in range(3)
    ], full


def test_windows_by_hand():
    assert windows_of(b"abcdabcde", b"abc") == [
        [int.from_bytes(word, "little") for word in (b"abcd", b"bcda", b"cdab", b"dabc", b"bcde")],
        [],
    ]


def test_tokens_by_hand():
    found = [(5, 0, 65, 1, 2), (5, 1, 65, 3, 4), (5, 0, 66, 5, 6), (6, 0, 67, 7, 8)]
    assert tokens_of(found) == ([[(5, 65, 1, 2), (6, 67, 7, 8)], [(5, 65, 3, 4)], []], False)


@given(few, few, U64)
def test_windows_equal_their_twin(head, body, salt):
    assert windows_of(head, body, salt) == [twin.windows(head), twin.windows(body)]


@given(found_tokens, st.integers(0, 8), U64)
def test_tokens_equal_their_twin(found, room, salt):
    assert tokens_of(found, room, salt) == twin.tokens(found, room)


def test_one_crowded_place_of_the_table_loses_nothing():
    # Bases that all fall into one place of the table for this salt.
    mask = np.uint64(511)
    bases = np.random.default_rng(0).integers(0, 2**63, 200_000, dtype=np.uint64)
    slots = (((bases ^ np.uint64(7)) * distinct.MIX_2) >> distinct.SLOT_SHIFT) & mask
    crowd = [(int(base), 1, 65, 0, 1) for base in bases[slots == 3][:60]]
    assert len(crowd) == 60
    views, full = tokens_of([*crowd, *crowd])
    assert [token[0] for token in views[1]] == [token[0] for token in crowd]
    assert not full


def sealed(views, seed, at=0):
    bases = np.zeros((5, ROOM), np.uint64)
    for row, view in zip(bases, views, strict=True):
        row[: len(view)] = view
    counts = np.array([len(view) for view in views], np.int64)
    out = np.full(at + 5 * ROOM, 9, np.uint32)
    offsets = np.full(6, at, np.int64)
    distinct.seal(bases, counts, np.uint64(seed), out, offsets)
    assert (out[:at] == 9).all()
    assert (out[offsets[-1] :] == 9).all()
    return [out[a:b].tolist() for a, b in pairwise(offsets)]


@given(st.lists(st.lists(U64, max_size=5), min_size=5, max_size=5), U64, st.integers(0, 3))
def test_sealing_equals_its_twin(views, seed, at):
    assert sealed(views, seed, at) == [[twin.seal(base, seed) for base in view] for view in views]


@pytest.mark.parametrize("kind", ["windows", "tokens"])
def test_seeds_give_unlike_features_and_few_collisions(kind):
    n = 100_000
    bases = np.arange(n, dtype=np.uint64) + np.uint64(0x20202020)
    if kind == "tokens":
        bases = (bases ^ np.uint64(0xCBF29CE484222325)) * np.uint64(0x100000001B3)
    features = []
    for seed in (1, 2, 2**63):
        out = np.zeros(n, np.uint32)
        table = np.zeros((1, n), np.uint64)
        table[0] = bases
        offsets = np.zeros(2, np.int64)
        distinct.seal(table, np.array([n]), np.uint64(seed), out, offsets)
        features.append(out)
        # n^2 / 2^33 = 1.2 pairs are expected to collide among 32-bit hashes.
        assert len(np.unique(out)) > n - 20
        # Each bit is set in half of them, whatever the size of the tables.
        set_bits = np.unpackbits(out.view(np.uint8)).reshape(n, 32).mean(axis=0)
        assert np.abs(set_bits - 0.5).max() < 0.02
    for a in range(3):
        for b in range(a):
            assert (features[a] == features[b]).sum() < 10
