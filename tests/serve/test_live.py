"""The model in shared memory: one process learns, others see it."""

import mmap
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from mtspam.config import ModelSettings, Settings
from mtspam.mail.views import N_VIEWS
from mtspam.model import Batch, Learner
from mtspam.serve.live import LiveArea, LiveView, copy_sparsely
from mtspam.types import Example, Features, GroupKey, UserKey

SETTINGS = Settings(
    model=ModelSettings(
        shared_bits=10,
        personal_bits=10,
        group_bits=10,
        auxiliary_bits=10,
        max_users=64,
        max_groups=8,
        replay_messages=8,
    )
)


def user(n):
    return UserKey(bytes([n + 1]) * 16)


GROUP = GroupKey(b"g" * 16)


def example(seed):
    rng = np.random.default_rng(seed)
    return Example(
        tuple(np.unique(rng.integers(0, 2**32, 60, dtype=np.uint32)) for _ in range(N_VIEWS))
    )


def said(learner, seed, who):
    scores = learner.predict_one(example(seed), who, GROUP)
    return [float(one[0]) for one in (scores.blend, scores.shared, scores.group, scores.personal)]


@pytest.fixture
def area():
    made = LiveArea(SETTINGS)
    yield made
    made.close()


@contextmanager
def elsewhere(area):
    """A process that sees the area and answers what it is asked."""
    questions, asking = os.pipe()
    hearing, answers = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(asking)
            view = LiveView(area, b"", None)
            while question := os.read(questions, 2):
                seed, who = question
                os.write(answers, repr(said(view.learner, seed, user(who))).encode())
        finally:
            os._exit(0)
    os.close(questions)

    def ask(seed, who):
        os.write(asking, bytes([seed, who]))
        return [float(one) for one in re.findall(r"-?[\d.e+-]+", os.read(hearing, 4096).decode())]

    yield ask
    os.close(asking)
    os.waitpid(pid, 0)
    os.close(hearing)
    os.close(answers)


def test_another_process_sees_every_step_and_new_users(area):
    live = area.publish(Learner(SETTINGS.model, N_VIEWS))
    with elsewhere(area) as ask:
        for n in range(30):
            assert ask(n, n % 5) == said(live, n, user(n % 5))
            live.learn_one(example(n), n % 2, user(n % 5), GROUP)
            area.note(live, position=n + 1, n_corrections=0)
            assert ask(n, n % 5) == said(live, n, user(n % 5))
    state = area.state()
    assert (state.generation, state.position, state.n_users, state.n_groups) == (1, 30, 5, 1)


def test_another_process_follows_to_new_generations(area):
    live = area.publish(Learner(SETTINGS.model, N_VIEWS))
    with elsewhere(area) as ask:
        for n in range(8):
            live.learn_one(example(n), 1, user(n), GROUP)
            area.note(live, position=n, n_corrections=0)
            fresh = Learner(SETTINGS.model, N_VIEWS)
            for earlier in range(n):
                fresh.learn_one(example(earlier), 0, user(7 - earlier), GROUP)
            live = area.publish(fresh)
            area.note(live, position=n, n_corrections=0)
            area.release()
            assert ask(n, 7) == said(fresh, n, user(7))
    assert area.generation == 9


def test_a_published_model_goes_on_as_it_would_have(area):
    alone = Learner(SETTINGS.model, N_VIEWS)
    batch = Batch(
        features=Features.from_examples([example(n) for n in range(40)]),
        users=[user(n % 3) for n in range(40)],
        groups=[GROUP] * 40,
        values=(np.arange(40) % 7 > 1).astype(np.int8),
    )
    alone.learn_many(batch)
    live = area.publish(alone)
    for learner in (alone, live):
        learner.learn_many(batch)
    for name, array in alone.arrays().items():
        assert np.array_equal(array, live.arrays()[name]), name


def test_a_worker_cannot_harm_the_model(area):
    live = area.publish(Learner(SETTINGS.model, N_VIEWS))
    live.learn_one(example(1), 1, user(1), GROUP)
    area.note(live, position=1, n_corrections=0)
    before = said(live, 1, user(1))
    view = LiveView(area, b"", None)
    view.learner.learn_one(example(1), 0, user(1), GROUP)
    assert said(live, 1, user(1)) == before
    assert said(LiveView(area, b"", None).learner, 1, user(1)) == before


def test_old_generations_give_their_memory_back(area):
    learner = Learner(SETTINGS.model, N_VIEWS)
    for _ in range(4):
        area.publish(learner)
    used = [Path(f"/proc/self/fd/{slot}").stat().st_blocks for slot in area._slots]
    assert min(used) > 0
    area.release()
    used = [Path(f"/proc/self/fd/{slot}").stat().st_blocks for slot in area._slots]
    assert sum(n > 0 for n in used) == 1


def test_pages_of_zeros_stay_untouched():
    with mmap.mmap(-1, 40 * 4096) as memory:
        target = np.frombuffer(memory, np.float32)
        source = np.zeros(40 * 1024, np.float32)
        source[[5, 20_000, 40_959]] = 1.0
        copy_sparsely(source, target)
        assert np.array_equal(source, target)
        del target
    odd = np.arange(5_000, dtype=np.uint8)
    copied = np.zeros_like(odd)
    copy_sparsely(odd, copied)
    assert np.array_equal(odd, copied)


def test_sizes_come_from_the_settings_alone():
    one, other = LiveArea(SETTINGS), LiveArea(Settings())
    assert one.digest != other.digest
    assert one.generation == other.generation == 0
    one.close()
    other.close()
