"""What the faces of the service ask for and what they are told: records and one contract."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mtspam.errors import MtspamError
from mtspam.spam.records import Explanation, Judgement
from mtspam.types import Label

__all__ = [
    "Action",
    "BusyError",
    "Envelope",
    "Face",
    "Forgotten",
    "LearnOutcome",
    "Learnt",
    "Ruling",
    "Service",
    "Symbol",
    "UnavailableError",
]


class BusyError(MtspamError):
    """A queue is full: the answer is the configured one for overload, at once."""


class UnavailableError(MtspamError):
    """What would be needed is not there: the writer is gone, the disk is full, time is up."""


class Action(StrEnum):
    """What is to be done with a message, mildest first; the words are rspamd's."""

    NO_ACTION = "no action"
    ADD_HEADER = "add header"
    REWRITE_SUBJECT = "rewrite subject"
    QUARANTINE = "quarantine"
    TEMPFAIL = "soft reject"
    REJECT = "reject"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the mail server knows of a message beside its bytes; all of it may be missing.

    Parameters
    ----------
    recipients
        Envelope recipients in the order in which they were given, without angle brackets.
    sender
        Envelope sender without angle brackets; empty for a bounce, None where it is not known.
    submitter
        Who sent it after logging in; None for mail from outside.
    client_address, client_name, helo
        The host that handed it over.
    queue_id
        The mail server's name for it, for logs.
    protocol
        The face over which it came, for logs and for the source of labels.
    """

    recipients: tuple[str, ...] = ()
    sender: str | None = None
    submitter: str | None = None
    client_address: str | None = None
    client_name: str | None = None
    helo: str | None = None
    queue_id: str | None = None
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One reason of a verdict, in the form that spamd's and rspamd's clients show.

    Parameters
    ----------
    name
        In capitals, such as ``MTSPAM_EVERYONE`` or ``MTSPAM_YOU``.
    points
        On the scale of `Ruling.points`; they add up to it.
    text
        One line about it, in ASCII.
    """

    name: str
    points: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What is to be done with a message for one recipient, and why.

    Parameters
    ----------
    recipient
        As given in the envelope; empty where none was given.
    judgement
        The verdict and its levels.
    action
        By the thresholds that hold for this recipient.
    points, required
        The score on the scale that admins know from other filters: spam is what has at least
        `required` points, also when both are shown with one decimal.
    symbols
        Why, by level.
    subject
        The new subject where `action` is to rewrite it.
    text
        What the sender is told where `action` is to refuse: code, enhanced code, one line.
    fields
        Header fields to add, name and value, first ones first; ASCII without line ends.
    """

    recipient: str
    judgement: Judgement
    action: Action
    points: float
    required: float
    symbols: tuple[Symbol, ...] = ()
    subject: str | None = None
    text: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_spam(self) -> bool:
        """Whether the points reach what is required."""
        return self.points >= self.required


class LearnOutcome(StrEnum):
    """What became of a label."""

    NEW = "new"
    SAME = "same"
    CHANGED = "changed"
    REMOVED = "removed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of a label and the id of the message that it is about."""

    outcome: LearnOutcome
    id: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of the wish to be forgotten.

    Parameters
    ----------
    n_events
        Labels and events of searches that were deleted; 0 where nothing was known of the user.
    is_folded
        Whether the model in use is one that never learnt them; else that one is being folded.
    versions
        Trained versions of the ranking's trees, which hold what was there when they were trained.
    """

    n_events: int
    is_folded: bool = True
    versions: tuple[str, ...] = ()


class Service(Protocol):
    """What every face asks; one in each worker, to be called from its event loop alone.

    Every method may raise `BusyError` or `UnavailableError`; which answer a client then gets is a
    setting of the face. Mail itself never raises.
    """

    def rule(self, raw: bytes, envelope: Envelope) -> tuple[Ruling, ...]:
        """Rule on a message for each recipient, in their order; for nobody where there is none.

        The message is read once. Takes about a tenth of a millisecond for ordinary mail.
        """
        ...

    def rule_together(self, raw: bytes, envelope: Envelope) -> Ruling:
        """Rule on a message where the protocol has one answer for all recipients.

        The rule is a setting: by default only as far as all recipients agree.
        """
        ...

    def explain(self, raw: bytes, recipient: str | None, *, limit: int = 15) -> Explanation:
        """Say why, feature by feature: the `limit` features that count most."""
        ...

    async def learn(self, raw: bytes, label: Label, *, user: str | None, source: str) -> Learnt:
        """Take a label; when this returns it is on the disk, and shows within a second.

        A message that carries our id and was scored lately is learnt exactly as it was scored.

        Parameters
        ----------
        raw
            The message.
        label
            What it is.
        user
            Who says so; None: the administrator, for everybody.
        source
            The face and what happened there, such as ``spamd`` or ``imapsieve``.

        Raises
        ------
        DataError
            Where `user` is a name that names nobody, such as ``<>``: an empty variable in
            somebody's script must not speak for everybody.
        """
        ...

    async def learn_id(
        self, message_id: str, label: Label, *, user: str | None, source: str
    ) -> Learnt:
        """Take a label about a message known by its id; `LearnOutcome.UNKNOWN` if forgotten.

        Raises as `learn`.
        """
        ...

    async def unlearn(self, message: bytes | str, *, user: str | None, source: str) -> Learnt:
        """Take back what a user said about a message, given itself or by its id.

        Raises as `learn`.
        """
        ...

    async def forget(self, user: str) -> Forgotten:
        """Delete all that a user ever said, and fold the model anew without it.

        When this returns the events are off the disk, and so is every snapshot that held them.

        Raises
        ------
        DataError
            Where the name is empty.
        """
        ...


class Face(Protocol):
    """A protocol being served on a socket.

    Each protocol has a function ``async def start(service, sock, settings) -> Face`` in its
    ``server`` module; `sock` is bound and listening, `settings` are all `mtspam.config.Settings`.
    """

    async def close(self, grace_seconds: float) -> None:
        """Take no new work, let what has begun end within the time given, then drop the rest."""
        ...
