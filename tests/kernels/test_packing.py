import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtspam.kernels import packing
from tests.reference import packing as twin

EDGES = [0, 1, 254, 255, 256, 65_535, 65_536, 2**24 - 1, 2**24, 2**24 + 1, 2**32 - 2, 2**32 - 1]
hashes = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**32 - 1), st.integers(0, 300))
views = st.lists(st.lists(hashes, max_size=40, unique=True).map(sorted), max_size=6)


def pack(example):
    bounds = np.cumsum([0, *map(len, example)], dtype=np.int64)
    flat = np.array([number for view in example for number in view], dtype=np.uint32)
    out = np.full(6 + 5 * (len(example) + flat.size), 0xEE, dtype=np.uint8)
    size = packing.pack_views(flat, bounds, out)
    return out[:size].tobytes() if size >= 0 else size


def unpack(blobs, n_views):
    """The views of all examples, or the kernel's complaint and the place it names."""
    bounds = np.cumsum([0, *map(len, blobs)], dtype=np.int64)
    data = np.frombuffer(b"".join(blobs) + bytes(packing.PAD_BYTES), dtype=np.uint8)
    offsets = np.zeros((len(blobs), n_views + 1), dtype=np.int64)
    state = packing.count_features(data, bounds, n_views, offsets)
    if state[0] != packing.GOOD:
        return state
    features = np.empty(offsets[-1, -1], dtype=np.uint32)
    state = packing.unpack_views(data, bounds, offsets, features)
    if state[0] != packing.GOOD:
        return state
    return [
        [features[row[v] : row[v + 1]].tolist() for v in range(n_views)]
        for row in offsets.tolist()
    ]


def test_a_case_by_hand():
    # Gaps 5, 0, 0x1234 and 0x0badf00d take 1, 1, 2 and 4 bytes: codes 0, 0, 1 and 3.
    example = [[5, 6, 7 + 0x1234, 8 + 0x1234 + 0x0BADF00D], []]
    packed = pack(example)
    assert packed[:2] == bytes([1, 2])
    assert packed[6:14] == bytes([4, 0, 0, 0, 0, 0, 0, 0])
    assert packed[14:] == bytes([0b11_01_00_00, 5, 0, 0x34, 0x12, 0x0D, 0xF0, 0xAD, 0x0B])
    assert unpack([packed], 2) == [example]


@given(views)
@settings(deadline=None)
def test_equals_the_twin(example):
    packed = pack(example)
    assert packed == twin.pack(example)
    assert unpack([packed], len(example)) == [example] == [twin.unpack(packed)]


@given(st.integers(0, 4), st.data())
@settings(deadline=None)
def test_many_at_once_are_the_same_as_one_by_one(n_views, data):
    examples = data.draw(
        st.lists(
            st.lists(
                st.lists(hashes, max_size=9, unique=True).map(sorted),
                min_size=n_views,
                max_size=n_views,
            ),
            min_size=1,
            max_size=6,
        )
    )
    assert unpack([pack(example) for example in examples], n_views) == examples


@given(views.filter(any), st.data())
@settings(deadline=None)
def test_every_changed_byte_is_noticed(example, data):
    packed = bytearray(pack(example))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    state, where = unpack([bytes(packed)], len(example))
    assert state != packing.GOOD
    assert where == 0


@given(views, st.data())
@settings(deadline=None)
def test_every_cut_and_every_tail_is_noticed(example, data):
    packed = pack(example)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    tail = packed + data.draw(st.binary(min_size=1, max_size=9))
    assert unpack([cut], len(example))[0] != packing.GOOD
    assert unpack([tail], len(example))[0] == packing.DAMAGED


@given(st.binary(max_size=80), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_refused_or_are_what_the_twin_reads(junk, n_views, is_framed):
    blob = bytes([packing.VERSION, n_views]) + junk if is_framed else junk
    good = pack([[1, 2, 3]] * n_views)
    got = unpack([good, blob], n_views)
    if isinstance(got, list):
        assert got[1] == twin.unpack(blob)
    else:
        assert got[1] == 1
        if len(blob) > 1 and blob[1] == n_views:
            with pytest.raises(ValueError, match=r"head|counts|short|body"):
                twin.unpack(blob)


@pytest.mark.parametrize(
    ("blob", "state"),
    [
        (b"", packing.TOO_SHORT),
        (bytes([1, 1, 0, 0, 0]), packing.TOO_SHORT),
        (bytes([1, 1, 0, 0, 0, 0, 9, 0, 0]), packing.TOO_SHORT),
        (bytes([2, 1, 0, 0, 0, 0, 0, 0, 0, 0]), packing.NEWER),
        (bytes([1, 2, 0, 0, 0, 0, 0, 0, 0, 0]), packing.MIXED),
        (bytes([1, 1, 0, 0, 0, 0, 255, 255, 255, 255]), packing.BAD_COUNTS),
        (bytes([1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 3, 9]), packing.DAMAGED),
    ],
)
def test_the_complaint_says_what_is_wrong(blob, state):
    assert unpack([blob], 1) == (state, 0)


def test_hashes_past_32_bits_are_damage():
    gaps = [2**32 - 1, 0]
    check = 1 * 61 + 2
    for gap, code in ((gaps[0], 3), (gaps[1], 0)):
        check = (check * 61 + gap + code * 2**32) % 2**57
    folded = (check ^ (check >> 25)) % 2**32
    blob = (
        bytes([1, 1]) + folded.to_bytes(4, "little") + bytes([2, 0, 0, 0, 0b0011])
        + b"\xff\xff\xff\xff\0"
    )  # fmt: skip
    assert unpack([blob], 1) == (packing.DAMAGED, 0)


@pytest.mark.parametrize(
    ("example", "bad"), [([[1, 1]], 1), ([[1, 2], [7, 3]], 3), ([[5], [9, 9, 9]], 2)]
)
def test_the_first_hash_that_does_not_rise_is_named(example, bad):
    assert pack(example) == -1 - bad
