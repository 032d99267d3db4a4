"""The service as every face asks it: judge, explain, learn, unlearn. No sockets, no files."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mtspam.config import Settings
from mtspam.errors import DataError
from mtspam.journal import LabelEvent
from mtspam.journal.identity import Identity, People, Person
from mtspam.model import Batch, Learner
from mtspam.serve.authentication import Sender, sender_of
from mtspam.serve.contract import (
    Action,
    Envelope,
    Forgotten,
    LearnOutcome,
    Learnt,
    Ruling,
)
from mtspam.serve.counters import Counters
from mtspam.serve.parts import (
    Forgetting,
    LabelSink,
    ModelView,
    Recalled,
    RecentExamples,
    Removal,
)
from mtspam.serve.points import Case, ruling_of
from mtspam.serve.policy import Policy, severity
from mtspam.spam.explaining import explain_message
from mtspam.spam.hashing import MailHasher
from mtspam.spam.keys import message_digest
from mtspam.spam.labelling import ANSWERS
from mtspam.spam.recalling import digests_of, settled
from mtspam.spam.records import Explanation, Judgement
from mtspam.spam.verdicts import judgement_of
from mtspam.types import NOBODY, Features, GroupKey, Label, UserKey

if TYPE_CHECKING:
    from mtspam.serve.rerank.ranker import Ranker

__all__ = ["MailService"]

_Keys = tuple[UserKey, GroupKey]
_MOST_SHOWN = 100


class MailService:
    """Rules on mail for each recipient and takes labels; implements `contract.Service`.

    Parameters
    ----------
    settings
        All of them.
    model
        The model to ask.
    sink
        Where labels go.
    recent
        The examples judged lately.
    counters
        Where to count what is done, if anywhere.

    Raises
    ------
    ConfigError
        Where the alias file or the policy file does not hold.
    """

    def __init__(
        self,
        settings: Settings,
        model: ModelView,
        sink: LabelSink,
        recent: RecentExamples,
        counters: Counters | None = None,
    ) -> None:
        self._settings = settings
        self._model = model
        self._sink = sink
        self._recent = recent
        self.counters = counters
        self.ranker: Ranker | None = None  # for faces that rank, too
        self._hasher = MailHasher(settings, model.secret, model.starter)
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Take new settings of identity and actions, and read their files anew.

        Raises
        ------
        ConfigError
            Where one does not hold; then everything stays as it was.
        """
        identity = Identity(settings.identity)
        policy = Policy(settings.actions, identity)
        self._people, self._policy = People(identity, self._model.secret), policy
        self._settings = replace(
            self._settings, identity=settings.identity, actions=settings.actions
        )
        self._trusted = frozenset(settings.identity.trusted_authserv.lower().split())

    # Ruling.

    def rule(self, raw: bytes, envelope: Envelope) -> tuple[Ruling, ...]:
        """Rule on a message for each recipient, in their order; for nobody where there is none."""
        began = time.perf_counter()
        recipients = envelope.recipients or ("",)
        persons = [self._people.person(one) for one in recipients]
        judgements = self._judge(raw, persons)
        sender = self._sender(raw, envelope)
        cases = [
            self._case(recipient, person, judgement, sender)
            for recipient, person, judgement in zip(recipients, persons, judgements, strict=True)
        ]
        rulings = self._rulings(cases, raw)
        self._count(rulings, time.perf_counter() - began)
        return rulings

    def rule_together(self, raw: bytes, envelope: Envelope) -> Ruling:
        """Rule on a message where the protocol has one answer for all recipients.

        Where these are several people, what is shown is what everybody's labels say, and their
        organisation's if it is the same: what one of them thinks is not the others' business.
        """
        began = time.perf_counter()
        recipients = envelope.recipients or ("",)
        persons = [self._people.person(one) for one in recipients]
        sender = self._sender(raw, envelope)
        if len(set(persons)) == 1:
            judgement = self._judge(raw, persons[:1])[0]
            case = self._case(recipients[0], persons[0], judgement, sender)
        else:
            groups = {person.group for person in persons}
            all_of_them = Person("", groups.pop() if len(groups) == 1 else "")
            *judgements, judgement = self._judge(raw, [*persons, all_of_them])
            cases = [
                self._case("", person, of_them, sender)
                for person, of_them in zip(persons, judgements, strict=True)
            ]
            singly = self._rulings(cases, raw)
            case = self._case("", all_of_them, judgement, sender)
            case = replace(case, listing=None, action=self._agreed(singly))
        ruling = ruling_of(case, raw, self._settings)
        self._count((ruling,), time.perf_counter() - began)
        return ruling

    def _rulings(self, cases: Sequence[Case], raw: bytes) -> tuple[Ruling, ...]:
        """Rule on cases; those that differ in the recipient alone are one."""
        if len(cases) == 1:
            return (ruling_of(cases[0], raw, self._settings),)
        made: dict[Case, Ruling] = {}
        rulings: list[Ruling] = []
        for case in cases:
            alike = replace(case, recipient="")
            ruling = made.get(alike)
            if ruling is None:
                ruling = made[alike] = ruling_of(alike, raw, self._settings)
            rulings.append(replace(ruling, recipient=case.recipient))
        return tuple(rulings)

    def _agreed(self, rulings: Sequence[Ruling]) -> Action:
        """Return what is done where recipients need not be of one mind."""
        if self._settings.actions.together == "first":
            return rulings[0].action
        choose = max if self._settings.actions.together == "worst" else min
        return choose((one.action for one in rulings), key=severity)

    def _case(
        self, recipient: str, person: Person, judgement: Judgement, sender: Sender | None
    ) -> Case:
        listing = None if sender is None else self._policy.listing(person, sender)
        limits = self._policy.limits(person)
        return Case(recipient=recipient, judgement=judgement, limits=limits, listing=listing)

    def _sender(self, raw: bytes, envelope: Envelope) -> Sender | None:
        if not self._policy.has_lists:
            return None
        return sender_of(raw, envelope.sender, self._trusted)

    def _count(self, rulings: Sequence[Ruling], seconds: float) -> None:
        if self.counters is not None:
            for ruling in rulings:
                self.counters.count_ruling(str(ruling.action), seconds / len(rulings))

    def _judge(self, raw: bytes, persons: Sequence[Person]) -> list[Judgement]:
        """Judge one message for each person; it is read once, and strangers are judged once."""
        learner = self._model.learner
        keys = [self._known(learner, person) for person in persons]
        distinct = list(dict.fromkeys(keys))
        digest = message_digest(raw, self._model.secret)
        features, priors = self._hasher.hash([raw], with_starter=learner.starter_share > 0.0)
        if len(distinct) > 1:
            offsets = np.repeat(features.offsets, len(distinct), axis=0)
            features, priors = Features(features.values, offsets), np.repeat(priors, len(distinct))
        scores = learner.predict_many(
            Batch(
                features=features,
                users=[user for user, _ in distinct],
                groups=[group for _, group in distinct],
                priors=priors,
            )
        )
        defects = self._hasher.defects()
        judged = {
            key: judgement_of(
                scores, self._settings.verdict, defects=defects, digest=digest, row=at
            )
            for at, key in enumerate(distinct)
        }
        example = self._hasher.unsorted(Features(features.values, features.offsets[:1]))[0]
        self._recent.remember(digest, example, float(priors[0]))
        return [judged[key] for key in keys]

    def _known(self, learner: Learner, person: Person) -> _Keys:
        """Return a person's keys; nobody's for who has no labels yet, which judges the same."""
        user, group = self._people.keys_of(person)
        return (
            user if user in learner.users else UserKey(NOBODY),
            group if group in learner.groups else GroupKey(NOBODY),
        )

    def explain(self, raw: bytes, recipient: str | None, *, limit: int = 15) -> Explanation:
        """Say why, feature by feature."""
        person = self._people.person(recipient)
        judgement = self._judge(raw, [person])[0]
        return explain_message(
            judgement,
            (self._model.learner, self._model.starter),
            self._hasher.extractor,
            self._people.keys_of(person),
            limit=limit,
        )

    # Learning.

    async def learn(self, raw: bytes, label: Label, *, user: str | None, source: str) -> Learnt:
        """Take a label; when this returns it is on the disk, and shows within a second."""
        speaker = self._speaker(user)
        features, priors = self._hasher.hash([raw])
        said = Recalled(self._hasher.examples(features)[0], float(priors[0]))
        digest, learnt = settled(raw, said, self._recent.recall, self._model.secret)
        return await self._label(digest, learnt, (label, speaker, source))

    async def learn_id(
        self, message_id: str, label: Label, *, user: str | None, source: str
    ) -> Learnt:
        """Take a label about a message known by its id; `LearnOutcome.UNKNOWN` if forgotten."""
        speaker = self._speaker(user)
        digest = _digest_of(message_id)
        recalled = None if digest is None else self._recent.recall(digest)
        if digest is None or recalled is None:
            return self._counted(Learnt(LearnOutcome.UNKNOWN, message_id))
        return await self._label(digest, recalled, (label, speaker, source))

    async def unlearn(self, message: bytes | str, *, user: str | None, source: str) -> Learnt:
        """Take back what a user said about a message, given itself or by its id."""
        key, _ = self._speaker(user)
        digests: Sequence[bytes | None] = (
            (_digest_of(message),)
            if isinstance(message, str)
            else digests_of(message, self._model.secret)
        )
        outcome, found = LearnOutcome.UNKNOWN, message if isinstance(message, str) else ""
        for digest in digests:
            if digest is not None:
                found = digest.hex()
                outcome = await self._sink.remove(Removal(key, digest, source))
                if outcome is not LearnOutcome.UNKNOWN:
                    break
        return self._counted(Learnt(outcome, found))

    async def forget(self, user: str) -> Forgotten:
        """Delete all that a user ever said, and fold the model anew without it."""
        keys = self._people.all_keys(user)
        if not keys:
            raise DataError("a user's name must not be empty")
        return await self._sink.forget(Forgetting(keys[0], keys[1:]))

    def _speaker(self, name: str | None) -> _Keys:
        """Return the keys of who says something: nobody's, which speak for all, if None alone."""
        keys = self._people.keys(name)
        if name is not None and keys[0] == NOBODY:
            shown = name[:_MOST_SHOWN]
            raise DataError(f"{shown!r} names no user; leave it out to speak for everybody")
        return keys

    async def _label(
        self, digest: bytes, said: Recalled, what: tuple[Label, _Keys, str]
    ) -> Learnt:
        label, (user, group), source = what
        now = int(time.time())
        outcome = await self._sink.label(
            tuple(
                LabelEvent(
                    time=now,
                    user=user,
                    group=group,
                    kind=kind,
                    value=value,
                    weight=1.0,
                    digest=digest,
                    source=source,
                    example=said.example,
                    prior=said.prior,
                )
                for kind, value in ANSWERS[label]
            )
        )
        return self._counted(Learnt(outcome, digest.hex()))

    def _counted(self, learnt: Learnt) -> Learnt:
        if self.counters is not None:
            self.counters.count_label(str(learnt.outcome))
        return learnt


def _digest_of(message_id: str) -> bytes | None:
    """Return the digest that an id stands for, None where it is no id."""
    if len(message_id) != 32 or not message_id.isascii() or not message_id.isalnum():  # noqa: PLR2004 - 16 bytes in hexadecimal
        return None
    try:
        return bytes.fromhex(message_id)
    except ValueError:
        return None
