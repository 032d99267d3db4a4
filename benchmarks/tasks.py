"""The list of what is measured, by size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from corpora import read_collection, read_ecml, read_sample, sample_vectors
from disagree import BY_LIST, BY_USER, disagree, share_out
from headers import STRIPPING_RULE, strip_headers
from streams import MailTask, Message, VectorTask, flip_feedback, thin

__all__ = ["NOISE_SHARES", "SIZES", "Plan", "tasks"]

NOISE_SHARES = (0.05, 0.10, 0.20)
SIZES: dict[str, int | None] = {"tiny": 200, "small": 1500, "full": None}
"""For each size the most messages of a corpus; thinned evenly, so that the mix stays."""

_FEEDBACK = "one pass, immediate feedback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure: the data folder (None: the sample alone), size, users, seed."""

    data: Path | None
    size: str
    n_users: int
    seed: int

    @property
    def at_most(self) -> int | None:
        """The most messages that a corpus may have."""
        return SIZES[self.size]


def _without_feedback(stream: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(message, has_feedback=False) for message in stream)


def _stripped(stream: tuple[Message, ...]) -> tuple[Message, ...]:
    return tuple(replace(message, raw=strip_headers(message.raw)) for message in stream)


def _noise(stream: tuple[Message, ...], corpus: str, plan: Plan) -> Iterator[MailTask]:
    for share in NOISE_SHARES:
        yield MailTask(
            name=f"{corpus}.noise-{share * 100:02.0f}",
            title=f"{corpus} in time order, {share:.0%} of the labels flipped",
            rule=f"{_FEEDBACK}; uniform flips of the feedback by seed, nested from share to "
            "share; figures against the true labels",
            stream=flip_feedback(stream, share, plan.seed),
        )


def _delayed(stream: tuple[Message, ...], corpus: str) -> MailTask:
    n_taught = len(stream) * 6 // 10
    silent = _without_feedback(stream[n_taught:])
    return MailTask(
        name=f"{corpus}.feedback-ends",
        title=f"{corpus} in time order, feedback ends after 60 %",
        rule="one pass; the part *silent* is the last 40 %, which nobody labels",
        stream=(*stream[:n_taught], *(replace(message, part="silent") for message in silent)),
    )


def _partial(stream: tuple[Message, ...], corpus: str, silent: set[str]) -> MailTask:
    return MailTask(
        name=f"{corpus}.some-users-silent",
        title=f"{corpus}, {len(silent)} of the users never give feedback",
        rule="one pass; immediate feedback by the others; the part *silent* is the mail of "
        "the silent users",
        stream=tuple(
            replace(message, has_feedback=False, part="silent")
            if message.user in silent
            else message
            for message in stream
        ),
    )


def _disagreeing(stream: tuple[Message, ...], corpus: str, plan: Plan) -> Iterator[MailTask]:
    for mode in (BY_USER, BY_LIST):
        labelled, rule = disagree(stream, mode, plan.n_users, plan.seed)
        yield MailTask(
            name=f"{corpus}.disagree-{mode.replace(' ', '-')}",
            title=f"{corpus} in time order, users disagree about lists, {mode}",
            rule=f"{_FEEDBACK}; {rule}",
            stream=labelled,
        )


def _spamassassin(stream: tuple[Message, ...], plan: Plan) -> Iterator[MailTask]:
    yield MailTask(
        name="spamassassin.time",
        title="spamassassin in time order",
        rule=_FEEDBACK,
        stream=stream,
    )
    yield from _noise(stream, "spamassassin", plan)
    yield _delayed(stream, "spamassassin")
    dealt = share_out(stream, plan.n_users, plan.seed)
    users = sorted({message.user for message in dealt if message.user is not None})
    yield _partial(dealt, "spamassassin", set(users[: len(users) // 2]))
    yield from _disagreeing(stream, "spamassassin", plan)


def _enron(stream: tuple[Message, ...]) -> Iterator[MailTask]:
    yield MailTask(
        name="enron.users",
        title="enron, 3 owners interleaved",
        rule=f"{_FEEDBACK}; subject and body alone",
        stream=stream,
    )
    yield _partial(stream, "enron", {"kitchen"})


def _second(
    second: tuple[Message, ...], first: tuple[Message, ...], title: str
) -> Iterator[MailTask]:
    bare, bare_first = _stripped(second), _stripped(first)
    strip = f"headers stripped: {STRIPPING_RULE}"
    corpus = title.partition(",")[0]
    for name, rule, stream, warm in (
        ("labels-whole", _FEEDBACK, second, ()),
        ("labels-stripped", f"{_FEEDBACK}; {strip}", bare, ()),
        ("no-labels-whole", "learnt spamassassin whole; no labels", second, first),
        ("no-labels-stripped", f"learnt spamassassin whole; no labels; {strip}", bare, first),
        ("no-labels-both-stripped", f"both sets alike; no labels; {strip}", bare, bare_first),
    ):
        stays_silent = name.startswith("no-labels")
        yield MailTask(
            name=f"{corpus}.{name}",
            title=f"{title}, {name.replace('-', ' ')}",
            rule=rule.replace("spamassassin", "the first collection"),
            stream=_without_feedback(stream) if stays_silent else stream,
            warm=warm,
        )
    yield _as_installed(bare, f"{corpus}.starter-stripped", f"{title}, stripped", strip)
    yield _as_installed(second, f"{corpus}.starter-whole", title, "whole messages")


def _as_installed(
    stream: tuple[Message, ...], name: str, title: str, preparation: str
) -> MailTask:
    """Judge by what a new installation brings: no label is ever given."""
    return MailTask(
        name=name,
        title=f"{title}, as installed",
        rule=f"nothing learnt but what a new installation brings; no labels; {preparation}",
        stream=_without_feedback(stream),
        has_peers=False,
    )


def _from_sample(plan: Plan) -> Iterator[MailTask | VectorTask]:
    sample = thin(read_sample(), plan.at_most)
    yield MailTask(
        name="sample.users", title="made-up sample, by user", rule=_FEEDBACK, stream=sample
    )
    unowned = tuple(replace(message, user=None, part="") for message in sample)
    yield next(_noise(unowned, "sample", plan))
    half = len(unowned) // 2
    yield MailTask(
        name="sample.no-labels-stripped",
        title="made-up sample, second half without labels",
        rule=f"learnt the first half; {STRIPPING_RULE}",
        stream=_without_feedback(_stripped(unowned[half:])),
        warm=unowned[:half],
    )
    yield next(_disagreeing(unowned, "sample", replace(plan, n_users=min(plan.n_users, 4))))
    yield sample_vectors(sample)


def tasks(plan: Plan) -> Iterator[MailTask | VectorTask]:
    """Yield the tasks one after the other, so that one corpus at a time is in memory.

    Raises
    ------
    MissingDataError
        When a corpus of the data folder, or the sample, is not there.
    """
    if plan.data is None:
        yield from _from_sample(plan)
        return
    first = thin(read_collection(plan.data, "spamassassin"), plan.at_most)
    yield from _spamassassin(first, plan)
    second = thin(read_collection(plan.data, "csdmc_extra"), plan.at_most)
    yield from _second(second, first, "csdmc, the second collection")
    del first, second
    enron = thin(read_collection(plan.data, "enron123"), plan.at_most)
    yield from _enron(enron)
    yield _as_installed(enron, "enron.starter", "enron", "subject and text, all there is")
    phishing = thin(read_collection(plan.data, "phishing_modern"), plan.at_most)
    yield _as_installed(phishing, "phishing.starter", "modern phishing", "whole messages, no ham")
    n_inboxes = 2 if plan.size == "tiny" else None
    yield read_ecml(plan.data, "ecml", n_inboxes)
    yield read_ecml(plan.data, "ecml-tune", n_inboxes)
