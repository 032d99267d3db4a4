"""What a service is put together from: a model to ask, a place for labels, a short memory."""

from dataclasses import dataclass
from typing import Protocol

from mtspam.journal import LabelEvent
from mtspam.model import Learner, Starter
from mtspam.serve.contract import Forgotten, LearnOutcome
from mtspam.spam.recalling import Recalled
from mtspam.types import Example, UserKey

__all__ = ["Forgetting", "LabelSink", "ModelView", "Recalled", "RecentExamples", "Removal"]


class ModelView(Protocol):
    """The model as it is now, and what goes with it."""

    @property
    def learner(self) -> Learner:
        """The newest learner; not to be kept, ask again for each message."""
        ...

    @property
    def secret(self) -> bytes:
        """The installation's secret."""
        ...

    @property
    def starter(self) -> Starter | None:
        """The starter model, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Removal:
    """A label that a user takes back.

    Parameters
    ----------
    user
        Whose; nobody's key for the administrator's.
    digest
        The message.
    source
        Where this came from.
    """

    user: UserKey
    digest: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The wish that all a user ever said be deleted.

    Parameters
    ----------
    user
        Whose; never nobody's key.
    aliases
        Other keys that they may have had.
    """

    user: UserKey
    aliases: tuple[UserKey, ...] = ()


class LabelSink(Protocol):
    """Where labels go."""

    async def label(self, events: tuple[LabelEvent, ...]) -> LearnOutcome:
        """Take one message's label; when this returns it is on the disk.

        Raises
        ------
        BusyError
            Where too many wait already.
        UnavailableError
            Where it cannot be written, or not in time; it may be given again.
        """
        ...

    async def remove(self, removal: Removal) -> LearnOutcome:
        """Take a label back; `LearnOutcome.UNKNOWN` where there was none. Raises as `label`."""
        ...

    async def forget(self, forgetting: Forgetting) -> Forgotten:
        """Delete a user's events and fold anew without them. Raises as `label`."""
        ...


class RecentExamples(Protocol):
    """The examples judged lately, by the digest of their message; bounded, losable."""

    def remember(self, digest: bytes, example: Example, prior: float) -> None:
        """Keep an example, whose views may be in any order; the oldest make room."""
        ...

    def recall(self, digest: bytes) -> Recalled | None:
        """Return what any worker judged, None where it is forgotten."""
        ...
