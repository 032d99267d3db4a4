"""Rows of users and groups."""

import numpy as np
import pytest

from mtspam.errors import ModelError
from mtspam.model.merging import merge_registers
from mtspam.model.register import BIAS, DAY, LABELS, MOVED, SPAM, VOICE, Register

ANN, BOB, EVE = (bytes([at]) * 16 for at in (1, 2, 3))


def test_rows_are_given_in_order_until_none_is_left():
    register = Register.empty(2)
    register.admit([ANN, b"", ANN, BOB, EVE])
    assert [register.row(key) for key in (ANN, BOB, EVE, b"")] == [0, 1, -1, -1]
    assert register.rows([EVE, BOB, b""], 3).tolist() == [-1, 1, -1]
    assert register.rows(None, 2).tolist() == [-1, -1]
    assert len(register) == 2
    assert ANN in register
    assert EVE not in register


@pytest.mark.parametrize("n_rows", [1, 3])
def test_salts_are_the_same_after_they_were_saved(n_rows):
    register = Register.empty(n_rows)
    register.admit([ANN, BOB, EVE])
    again = Register(register.keys.copy(), register.figures, len(register))
    assert again.salts.tolist() == register.salts.tolist()
    assert again.salts[0] == int.from_bytes(ANN[:8], "little")
    assert [key for key, _ in again.items()] == [ANN, BOB, EVE][:n_rows]


@pytest.mark.parametrize("key", [b"short", b"x" * 17])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(ModelError, match=f"a key has {len(key)} bytes; it must have 16"):
        Register.empty(2).admit([key])


def _with(key, **figures):
    register = Register.empty(2)
    register.admit([key])
    names = {"labels": LABELS, "bias": BIAS, "day": DAY, "voice": VOICE, "spam": SPAM}
    for name, value in figures.items():
        register.figures[0, {**names, "moved": MOVED}[name]] = value
    return register


@pytest.mark.parametrize(
    ("day", "other_day", "merged_day", "voice"), [(5, 5, 5, 3.0), (5, 9, 9, 2.0), (9, 5, 9, 1.0)]
)
def test_merging_adds_figures_and_keeps_the_voice_of_the_newest_day(
    day, other_day, merged_day, voice
):
    register = _with(ANN, labels=3, day=day, voice=1.0, moved=10.0)
    merge_registers(register, _with(ANN, labels=4, spam=2, day=other_day, voice=2.0, moved=20.0))
    expected = np.zeros(6)
    expected[[LABELS, DAY, VOICE, SPAM, MOVED]] = [7, merged_day, voice, 2, 30.0]
    assert register.figures[0].tolist() == expected.tolist()
    assert register.n_labels(ANN) == 7


def test_merging_admits_as_many_as_there_are_rows():
    register = _with(ANN, labels=1)
    register.admit([BOB])
    merge_registers(register, _with(EVE, labels=5))
    assert [key for key, _ in register.items()] == [ANN, BOB]
    assert register.n_labels(EVE) == 0


def test_a_register_follows_one_over_the_same_arrays():
    writer = Register.empty(4)
    reader = Register(writer.keys, writer.figures, 0, writer.salts)
    writer.admit([b"a" * 16, b"b" * 16])
    assert reader.row(b"b" * 16) == -1
    reader.follow(2)
    assert (reader.row(b"a" * 16), reader.row(b"b" * 16), len(reader)) == (0, 1, 2)
    assert reader.salts[1] == int.from_bytes(b"b" * 8, "little")


def test_a_count_seen_before_its_key_is_believed_later():
    writer = Register.empty(4)
    reader = Register(writer.keys, writer.figures, 0, writer.salts)
    reader.follow(1)
    assert len(reader) == 0
    writer.admit([b"a" * 16])
    reader.follow(1)
    assert reader.row(b"a" * 16) == 0
