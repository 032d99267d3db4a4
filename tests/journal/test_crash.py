"""Real processes: killed while they append, and read while another appends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtspam.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
BATCH = 20

# Appends batches of labels with rising times and says after each what it has been promised.
CODE = """
import sys
import numpy as np
from mtspam.journal import Journal, LabelEvent
from mtspam.types import Example, GroupKey, LabelKind, UserKey

path, start, n_batches, size = sys.argv[1], *map(int, sys.argv[2:])
hashes = np.arange(3000, dtype=np.uint32) * 1_000_003
example = Example((np.unique(hashes),))
with Journal.open(path) as journal:
    for batch in range(start, start + n_batches):
        journal.append([
            LabelEvent(
                time=n, user=UserKey(bytes(16)), group=GroupKey(b""), kind=LabelKind.SPAM,
                value=1, weight=1.0, digest=n.to_bytes(16, "big"), source="", example=example,
            )
            for n in range(batch * size, batch * size + size)
        ])
        print(batch, flush=True)
"""


def appender(path, start, n_batches):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, path, str(start), str(n_batches), str(BATCH)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def times(journal):
    return [time for batch in journal.live() for time in batch.time.tolist()]


def test_a_killed_writer_keeps_its_promises(path):
    start = 0
    for n_acknowledged in (1, 4, 9):
        with appender(path, start, 10_000) as process:
            for _ in range(n_acknowledged):
                promised = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            # What it had said before the signal came is a promise too.
            promised = max([promised, *map(int, process.stdout.read().split())])
        assert process.returncode == -signal.SIGKILL
        with Journal.open(path) as journal:
            found = times(journal)
            assert journal.check() == len(found)
        # Everything promised is there once; the batch under way is there as a whole or not.
        assert found == list(range(len(found)))
        assert len(found) % BATCH == 0
        assert promised + 1 <= len(found) // BATCH <= promised + 2
        # The next one begins with what the last had perhaps no time to promise.
        start = promised + 1


@pytest.mark.parametrize("read_only", [True, False])
def test_readers_see_whole_batches_while_another_process_appends(path, read_only):
    Journal.open(path).close()
    n_batches, seen, n_looks = 60, [0], 0
    with appender(path, 0, n_batches) as process:
        with Journal.open(path, read_only=read_only) as journal:
            while seen[-1] < n_batches * BATCH and (process.poll() is None or n_looks < 2):
                found = times(journal)
                assert found == list(range(len(found)))
                assert len(found) % BATCH == 0
                assert len(found) >= seen[-1]
                if len(found) > seen[-1]:
                    seen.append(len(found))
                n_looks += process.poll() is not None
        process.stdout.read()
    assert process.returncode == 0
    assert seen[-1] == n_batches * BATCH
    assert len(seen) > 2


def test_two_processes_may_make_the_journal_at_once(path):
    with appender(path, 0, 30) as a, appender(path, 15, 30) as b:
        a.stdout.read(), b.stdout.read()
    assert (a.returncode, b.returncode) == (0, 0)
    with Journal.open(path) as journal:
        assert sorted(times(journal)) == list(range(45 * BATCH))
        assert journal.check() == 45 * BATCH
    assert [one.name for one in path.parent.iterdir()] == [path.name]
