import dataclasses
import random
import sqlite3

import numpy as np
import pytest

from mtspam.errors import DataError, JournalError
from mtspam.journal import Journal, Withdrawal, engine, pack_example
from mtspam.journal.writing import standing_query
from mtspam.types import NOBODY, Example, LabelKind


def traces(path, *needles):
    """Which of the needles stand in any file of the state directory."""
    content = b"".join(one.read_bytes() for one in path.parent.iterdir())
    return [needle for needle in needles if needle in content]


def test_looking_up_what_stands_reads_the_index_by_digest(path, journal):
    opened = engine.open_engine(path, read_only=True)
    query = standing_query([(b"a" * 16, b"b" * 16, "spam"), (b"c" * 16, b"d" * 16, "spam")])
    compiled = query.compile(opened, compile_kwargs={"render_postcompile": True})
    with opened.connect() as connection:
        values = tuple(compiled.params[name] for name in compiled.positiontup)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values).all()
    opened.dispose()
    assert "SEARCH events USING INDEX live_labels (digest=?)" in plan[0][-1]


def test_forgetting_leaves_nothing_of_the_user(path, make_label, make_user):
    # Rows of such different sizes make pages merge, which leaves copies in their unused space.
    rng = random.Random(1)
    labels = [
        make_label(n, user=rng.randint(1, 6), size=rng.choice([5, 60, 200, 700]))
        for n in range(600)
    ]
    with Journal.open(path) as journal:
        for start in range(0, 600, 25):
            journal.append(labels[start : start + 25])
        for user in map(make_user, range(1, 6)):
            theirs = [one for one in labels if one.user == user]
            needles = [user, *(one.digest for one in theirs)]
            needles += [pack_example(one.example)[-20:] for one in theirs]
            assert len(traces(path, *needles)) == len(needles)
            assert journal.forget(user) == len(theirs)
            assert traces(path, *needles) == []
            assert user not in journal.users()
            assert journal.check() == journal.counts().n_events


def test_forgetting_again_does_nothing(journal, make_label, make_user):
    journal.append([make_label(1), make_label(2, user=7), make_label(2, user=7, value=0)])
    assert journal.forget(make_user(7)) == 2
    assert journal.head() == 4
    assert journal.forget(make_user(7)) == 0
    assert journal.head() == 4
    assert journal.append([make_label(2, user=7)]).first_seq == 5


def test_a_journal_that_forgot_reads_like_one_that_never_knew(tmp_path, make_label, make_user):
    def read(journal):
        return [
            (batch.time.tolist(), batch.user, batch.value.tolist(), batch.digest, batch.packed)
            for batch in journal.live()
        ]

    labels = [make_label(n, user=n % 3 + 1) for n in range(30)]
    with Journal.open(tmp_path / "a") as knew, Journal.open(tmp_path / "b") as never:
        knew.append(labels)
        knew.forget(make_user(2))
        never.append([one for one in labels if one.user != make_user(2)])
        assert read(knew) == read(never)


def test_nobody_cannot_be_forgotten(journal):
    with pytest.raises(DataError, match="nobody"):
        journal.forget(NOBODY)


def test_forgetting_is_finished_later_if_the_file_could_not_be_cleaned(
    path, journal, make_label, make_user
):
    journal.append([make_label(n, user=1 + n % 2) for n in range(20)])
    # A leftover note is what a crash between the deletion and the cleaning leaves.
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO meta VALUES ('scrub', 'due')")
    raw.close()
    assert journal.forget(make_user(9)) == 0
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM meta WHERE name = 'scrub'").fetchone() == (0,)
    raw.close()


def test_a_reader_delays_the_cleaning_but_not_the_forgetting(
    path, make_label, make_user, monkeypatch, caplog
):
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.05)
    with Journal.open(path) as journal, Journal.open(path, read_only=True) as reader:
        journal.append([make_label(n, user=1 + n % 2) for n in range(20)])
        reading = reader.live(batch_size=1)
        next(reading)
        assert journal.forget(make_user(1)) == 10
        assert list(journal.users()) == [make_user(2)]
        assert "a reader holds pages" in caplog.text
        assert len(list(reading)) == 19
        assert journal.forget(make_user(1)) == 0
        assert traces(path, make_user(1)) == []


def test_one_bad_example_and_none_is_added(journal, make_label):
    good = make_label(1)
    bad = dataclasses.replace(good, example=Example((good.example.views[0][::-1].copy(),)))
    with pytest.raises(DataError):
        journal.append([good, bad])
    assert journal.head() == 0


def test_a_writer_waits_no_longer_than_the_limit(path, journal, make_label, monkeypatch):
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.05)
    with Journal.open(path) as second:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            second.append([make_label(1)])
        blocker.execute("ROLLBACK")
        blocker.close()
        assert second.append([make_label(1)]).n_new == 1


def test_a_commit_makes_all_changes_in_their_order(journal, make_label, make_user, make_digest):
    journal.append([make_label(1), make_label(2)])
    gone = Withdrawal(make_user(1), make_digest(3), source="test")
    done = journal.commit(
        [
            [make_label(3), make_label(3, kind=LabelKind.PHISHING)],
            [make_label(1)],
            [make_label(2, value=0)],
            gone,
            gone,
            Withdrawal(None, make_digest(1), (LabelKind.BULK,)),
            [make_label(3)],
        ]
    )
    told = [
        one if isinstance(one, int) else (one.n_new, one.n_same, one.n_changed) for one in done
    ]
    assert told == [(2, 0, 0), (0, 1, 0), (0, 0, 1), 2, 0, 0, (1, 0, 0)]
    assert [one.seq for n in (1, 2, 3) for one in journal.find(make_digest(n).hex())] == [1, 5, 8]
    assert journal.check() == 8


def test_a_commit_is_all_or_nothing(journal, make_label):
    torn = dataclasses.replace(make_label(2), example=Example((np.array([2, 1], np.uint32),)))
    with pytest.raises(DataError, match="rising"):
        journal.commit([[make_label(1)], [torn]])
    assert journal.head() == 0
