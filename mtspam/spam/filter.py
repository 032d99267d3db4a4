"""The spam filter: judge, learn, unlearn, forget, explain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mtspam.config import Settings
from mtspam.errors import DataError, JournalError, SnapshotError
from mtspam.fold import JustWritten, catch_up
from mtspam.journal import LabelEvent
from mtspam.journal.identity import Identity, People
from mtspam.model import Batch, Scores
from mtspam.spam.correcting import Cleared, take_back
from mtspam.spam.explaining import explain_message
from mtspam.spam.hashing import MailHasher, load_starter
from mtspam.spam.keys import message_digest
from mtspam.spam.labelling import label_batches
from mtspam.spam.opening import load_for_reading, load_for_writing
from mtspam.spam.recalling import StateMemory, digests_of
from mtspam.spam.records import (
    Explanation,
    FoldCheck,
    FoldReport,
    Judgement,
    Judgements,
    LabelledMessage,
    LearnSummary,
    Status,
    UserInfo,
)
from mtspam.spam.report import list_users, sum_up
from mtspam.spam.state import StateDirectory
from mtspam.spam.upkeep import KeptModel, check_model, fold_model, save_model
from mtspam.spam.verdicts import judgement_of, judgements_of
from mtspam.types import Label

if TYPE_CHECKING:
    from mtspam.journal import Journal

__all__ = ["SpamFilter"]


class SpamFilter:
    r"""A filter over a state directory; made by :meth:`open`, used as a context.

    One process at a time may write to a state; any number may read it. Not to be shared between
    threads.

    Examples
    --------
    >>> import tempfile
    >>> from mtspam.types import Label
    >>> with tempfile.TemporaryDirectory() as state, SpamFilter.open(Path(state) / "s") as spam:
    ...     _ = spam.learn(b"Subject: pills\n\nBuy cheap pills now", Label.SPAM)
    ...     _ = spam.learn(b"Subject: lunch\n\nSee you at noon, Ana", Label.HAM)
    ...     str(spam.judge(b"Subject: pills\n\nBuy cheap pills now").verdict)
    'spam'
    """

    def __init__(
        self,
        directory: StateDirectory,
        settings: Settings,
        journal: "Journal | None",
        kept: KeptModel,
        secret: bytes,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._journal = journal
        self._kept = kept
        self._is_overtaken = False  # the journal no longer holds what the model has learnt
        self._secret = secret
        self._people = People(Identity(settings.identity), secret)
        self._starter = load_starter()
        self._hasher = MailHasher(settings, secret, self._starter)
        self._exits = ExitStack()

    @classmethod
    def open(
        cls,
        state: Path,
        settings: Settings | None = None,
        *,
        read_only: bool = False,
        on_progress: Callable[[int], None] | None = None,
    ) -> Self:
        """Open the filter whose state is in a directory.

        Parameters
        ----------
        state
            The directory. A writer makes it; a reader does without it, on the starter alone.
        settings
            None: the defaults.
        read_only
            Judge only: no lock is taken and nothing is written.
        on_progress
            Called with the number of labels just learnt, if the journal has to be folded.

        Raises
        ------
        ConfigError
            Where the alias file does not hold.
        JournalError
            Where the state cannot be read or written, or another process is writing to it.
        SnapshotError
            Where the snapshot was written by a newer version.
        """
        settings = settings or Settings()
        directory = StateDirectory(Path(state))
        with ExitStack() as exits:
            load = load_for_reading if read_only else load_for_writing
            journal, kept, secret = load(directory, settings, exits, on_progress)
            opened = cls(directory, settings, None if read_only else journal, kept, secret)
            opened._exits = exits.pop_all()
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A full disk stops the snapshot, too; what went wrong first is what is to be told.
        with suppress(*(() if error is None else (JournalError, SnapshotError))):
            self.close()

    def close(self) -> None:
        """Write the snapshot if anything was learnt and let go of the state.

        Raises
        ------
        SnapshotError
            Where it cannot be written; no label is lost, the journal has them all.
        """
        with self._exits:
            self._save()

    def _save(self) -> None:
        if self._journal is None or self._current().is_saved:
            return
        if self._journal.head() != self._kept.position:
            return  # an interrupt came between journal and model; who opens next puts it right
        identity = self._journal.identity
        # The log goes into the journal's file first: readers take the younger file for the truth.
        self._journal.close()
        save_model(self._directory, self._settings, identity, self._kept)

    # Judging.

    def judge(self, raw: bytes, *, user: str | None = None, group: str | None = None) -> Judgement:
        """Judge one message for a user."""
        return judgement_of(
            self._score([raw], [user], [group]),
            self._settings.verdict,
            defects=self._hasher.defects(),
            digest=message_digest(raw, self._secret),
        )

    def judge_many(
        self,
        raws: Sequence[bytes],
        users: Sequence[str | None] | None = None,
        groups: Sequence[str | None] | None = None,
    ) -> Judgements:
        """Judge many messages, each for its user; columns in the order given."""
        return judgements_of(self._score(raws, users, groups), self._settings.verdict)

    def explain(
        self, raw: bytes, *, user: str | None = None, group: str | None = None, limit: int = 15
    ) -> Explanation:
        """Judge one message and say why: the features that count most, level by level."""
        judgement, keys = self.judge(raw, user=user, group=group), self._people.keys(user, group)
        models = self._kept.learner, self._starter
        return explain_message(judgement, models, self._hasher.extractor, keys, limit=limit)

    def _score(
        self,
        raws: Sequence[bytes],
        users: Sequence[str | None] | None,
        groups: Sequence[str | None] | None,
    ) -> Scores:
        learner = self._current().learner
        # A starter that is not heard any more need not be asked: a tenth of the time.
        features, priors = self._hasher.hash(raws, with_starter=learner.starter_share > 0.0)
        who, whose = self._people.columns(users, groups)
        batch = Batch(features=features, users=who, groups=whose, priors=priors)
        return learner.predict_many(batch)

    # Learning.

    def learn(
        self,
        raw: bytes,
        label: Label,
        *,
        user: str | None = None,
        group: str | None = None,
        time: int | None = None,
    ) -> LearnSummary:
        """Learn what somebody says about one message; see :meth:`learn_many`."""
        return self.learn_many([LabelledMessage(raw, label, user, group, time)])

    def learn_many(
        self,
        messages: Iterable[LabelledMessage],
        on_progress: Callable[[int], None] | None = None,
    ) -> LearnSummary:
        """Write labels into the journal, all or none, and learn them.

        The same label twice is one label; the contrary label of the same user replaces the
        former.

        Parameters
        ----------
        messages
            In any order; many are read in a thread. Their times count for the bound on a voice.
        on_progress
            Called with the number of messages just read.

        Raises
        ------
        JournalError
            Where the journal cannot be written to, or the filter was opened for reading.
        DataError
            Where a message cannot be read; the state is then as it was.
        """
        journal = self._writable()
        ids, cleared, written = list[str](), Cleared(), JustWritten()
        settle = StateMemory(self._directory.path, journal, self._secret).settle

        def batches() -> Iterator[list[LabelEvent]]:
            for events, chunk_ids in label_batches(messages, self._hasher, self._people, settle):
                ids.extend(chunk_ids)
                cleared.note(events)
                yield events
                if on_progress is not None:
                    on_progress(len(chunk_ids))

        done = journal.append_all(batches(), written.note)
        if done.n_changed:
            cleared.retract(journal)
        is_next = not done.n_changed and done.first_seq == self._kept.position + 1
        self._follow(journal, written if is_next else None)
        return LearnSummary(len(ids), done.n_new, done.n_same, done.n_changed, tuple(ids))

    def unlearn(
        self,
        message: bytes | str | tuple[str, ...],
        *,
        user: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Take back what was said about a message, as if it had never been said.

        The model is folded anew before it is next asked, or when the filter is closed: once,
        however many labels were taken back.

        Parameters
        ----------
        message
            The message, or its id (or the first digits of it, at least eight), or all its `ids`.
        user
            Whose label to take back; None: the administrator's.
        everyone
            Take back everybody's.

        Returns
        -------
        int
            Labels taken back.

        Raises
        ------
        DataError
            Where the id is no id, or stands for several messages.
        JournalError
            Where the journal cannot be written to.
        """
        whose = None if everyone else self._people.keys(user)[0]
        ids = self.ids(message) if isinstance(message, bytes) else message
        n_labels = take_back(self._open_journal(), (ids,) if isinstance(ids, str) else ids, whose)
        self._is_overtaken |= n_labels > 0
        return n_labels

    def forget(self, user: str) -> int:
        """Delete all that a user ever said and fold anew: as if they had never been here.

        So goes what they said under their aliases, before these were known to be theirs, too.

        Returns
        -------
        int
            Events deleted; 0 where nothing was known of the user.

        Raises
        ------
        JournalError
            Where the journal cannot be written to.
        DataError
            Where the name is empty.
        """
        journal = self._writable()
        keys = self._people.all_keys(user)
        if not keys:
            raise DataError("a user's name must not be empty")
        n_events = journal.forget(*keys)
        if n_events:
            self._directory.drop_snapshot()  # their key and their weights are in it
            self.fold()
        return n_events

    def _follow(self, journal: "Journal", written: JustWritten | None) -> None:
        """Learn what is new in the journal, what was `written` without reading it again."""
        kept, head = self._kept, journal.head()
        if head > kept.position:
            # What was said and changed at once was never learnt, so nothing is to be corrected.
            if written is None and not journal.is_intact(kept.position):
                kept.n_corrections += 1
            learnt = written.learn(kept.learner, kept.position) if written else kept.position
            catch_up(kept.learner, journal, learnt)
            kept.position = head
            kept.is_saved, kept.fold_seconds = False, None

    # Upkeep.

    def fold(self, *, on_progress: Callable[[int], None] | None = None) -> FoldReport:
        """Fold the journal from nothing and put the result in the model's place.

        Where opening had to do so and nothing was learnt since, that is the result, once.

        Raises
        ------
        JournalError
            Where the journal cannot be read or is damaged; the model stays as it was.
        """
        journal = self._open_journal()
        if self._kept.fold_seconds is None or self._kept.position != journal.head():
            self._kept = fold_model(journal, self._settings, on_progress=on_progress)
        self._is_overtaken = False
        return self._kept.told_fold()

    def check(self, *, on_progress: Callable[[int], None] | None = None) -> FoldCheck:
        """Prove that the snapshot equals the journal: fold anew, compare every bit.

        Raises
        ------
        SnapshotError
            Where the snapshot is missing or damaged.
        JournalError
            Where the journal is missing or damaged.
        """
        return check_model(self._directory, self._settings, on_progress)

    def users(self) -> list[UserInfo]:
        """List who has labels, most labels first.

        Raises
        ------
        JournalError
            Where the journal cannot be read.
        """
        return list_users(self._directory, self._current().learner)

    def user_key(self, name: str) -> str:
        """Return the key under which a user is listed, in hexadecimal."""
        return self._people.keys(name)[0].hex()

    def ids(self, raw: bytes) -> tuple[str, ...]:
        """Return the ids under which a label on a message may stand, the likeliest first."""
        return tuple(digest.hex() for digest in digests_of(raw, self._secret))

    def status(self) -> Status:
        """Sum up the state.

        Raises
        ------
        JournalError
            Where the journal cannot be read.
        """
        has_starter = self._starter is not None
        return sum_up(self._directory, self._settings, self._current(), has_starter=has_starter)

    def _open_journal(self) -> "Journal":
        if self._journal is None:
            raise JournalError(f"state {self._directory.path}: it was opened for reading")
        return self._journal

    def _writable(self) -> "Journal":
        """Return the journal, with the model at its head."""
        self._is_overtaken |= self._open_journal().head() != self._kept.position
        self._current()
        return self._open_journal()

    def _current(self) -> KeptModel:
        """Return the model, folded anew where labels were taken back."""
        if self._is_overtaken and self._journal is not None:
            self._kept = fold_model(self._journal, self._settings)
            self._is_overtaken = False
        return self._kept
