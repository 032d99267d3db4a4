"""A verdict on the scale that admins know, its reasons, and the fields that tell of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from email.header import Header

from mtspam.config import Settings
from mtspam.serve.contract import Action, Ruling, Symbol
from mtspam.serve.fields import ID_FIELD, ascii_value, field_values
from mtspam.serve.lists import Listing
from mtspam.serve.policy import Limits, severity
from mtspam.spam.records import Judgement
from mtspam.types import Verdict

__all__ = ["Case", "ruling_of"]

_LISTED_POINTS = 100.0
_LARGEST_ODDS = 40.0
_JUST_BELOW = 0.06  # less than half of what one decimal shows
_LIKELY = 0.5
_MAX_STARS = 50
_MAX_SUBJECT_CHARACTERS = 900  # a line may have 998
_MAX_ENCODED_CHARACTERS = 120  # each of up to four bytes, in words that are half again as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a ruling rests on.

    Parameters
    ----------
    recipient
        As given in the envelope.
    judgement
        What the model says for them.
    limits
        From where on which action is taken for them.
    listing
        What their lists say of the sender.
    action
        What is done whatever the model says, since others have their say, too; None: by `limits`.
    """

    recipient: str
    judgement: Judgement
    limits: Limits
    listing: Listing | None = None
    action: Action | None = None


def ruling_of(case: Case, raw: bytes, settings: Settings) -> Ruling:
    """Rule on a message: action, points, symbols, fields."""
    action = _action(case)
    is_spam = severity(action) > 0
    required = round(settings.actions.required_points, 1)
    natural = required + case.judgement.score - _odds_of(_scale_limit(case.limits, settings))
    listed = _listed(case.listing)
    symbols = [*_levels(case.judgement, natural), *listed, *_facts(case.judgement)]
    points = round(natural + sum(one.points for one in listed), 2)
    # The points are on the side that the action is on, also when one decimal is shown.
    shown = max(points, required) if is_spam else min(points, round(required - _JUST_BELOW, 2))
    symbols += _together(case, round(shown - points, 2))
    return Ruling(
        recipient=case.recipient,
        judgement=case.judgement,
        action=action,
        points=shown,
        required=required,
        symbols=tuple(symbols),
        subject=_subject(raw, settings) if action is Action.REWRITE_SUBJECT else None,
        text=_text(action, case.judgement),
        fields=tuple(_fields(case, symbols, shown, required)),
    )


def _action(case: Case) -> Action:
    if case.action is not None:
        return case.action
    if case.listing is Listing.ALLOWED:
        return Action.NO_ACTION
    certain = case.listing is Listing.DENIED
    return case.limits.action(1.0 if certain else case.judgement.probability)


def _scale_limit(limits: Limits, settings: Settings) -> float:
    """Return the probability that has the points required."""
    return limits.lowest if limits.lowest <= 1.0 else settings.verdict.spam_above


def _odds_of(probability: float) -> float:
    if not 0.0 < probability < 1.0:
        return math.copysign(_LARGEST_ODDS, probability - _LIKELY)
    return math.log(probability / (1.0 - probability))


# Reasons.


def _levels(judgement: Judgement, natural: float) -> list[Symbol]:
    """Return what each level adds, and last what puts the sum on the scale of points."""
    parts = (
        ("MTSPAM_EVERYONE", judgement.shared - judgement.starter, "what everybody's labels say"),
        ("MTSPAM_STARTER", judgement.starter, "what the starter model says"),
        ("MTSPAM_ORGANISATION", judgement.group, "what your organisation's labels add"),
        ("MTSPAM_YOU", judgement.personal, "what your own labels add"),
    )
    symbols = [Symbol(name, round(odds, 2), text) for name, odds, text in parts if odds]
    rest = round(round(natural, 2) - sum(one.points for one in symbols), 2)
    return [*symbols, Symbol("MTSPAM_MIX", rest, "the mixture, on the scale of points")]


def _listed(listing: Listing | None) -> list[Symbol]:
    if listing is Listing.ALLOWED:
        return [Symbol("MTSPAM_ALLOWED", -_LISTED_POINTS, "the sender is on your allow list")]
    if listing is Listing.DENIED:
        return [Symbol("MTSPAM_DENIED", _LISTED_POINTS, "the sender is on your deny list")]
    if listing is Listing.UNPROVEN:
        text = "the sender is on your allow list, but nothing proves that it is them"
        return [Symbol("MTSPAM_ALLOW_UNPROVEN", 0.0, text)]
    return []


def _facts(judgement: Judgement) -> list[Symbol]:
    """Return what is worth knowing but adds nothing of its own to the points."""
    facts = [
        Symbol(name, 0.0, f"probability {probability:.2f}")
        for name, probability in (
            ("MTSPAM_PHISHING", judgement.phishing),
            ("MTSPAM_BULK", judgement.bulk),
        )
        if probability is not None and probability >= _LIKELY
    ]
    facts += [
        Symbol(f"MTSPAM_DEFECT_{name.replace('-', '_').upper()}", 0.0, "the form of the message")
        for name in judgement.defects
    ]
    return facts


def _together(case: Case, difference: float) -> list[Symbol]:
    """Return what brings the points to the side that the action is on."""
    if not difference:
        return []
    if case.action is None:
        return [Symbol("MTSPAM_LIMIT", difference, "on which side of the limit it is")]
    return [Symbol("MTSPAM_TOGETHER", difference, "one answer for all recipients")]


# What is told.


def _text(action: Action, judgement: Judgement) -> str | None:
    if action is Action.REJECT:
        return f"550 5.7.1 Message refused as spam; its id is {judgement.id}"
    if action is Action.TEMPFAIL:
        return f"451 4.7.1 Message deferred, try again later; its id is {judgement.id}"
    return None


def _subject(raw: bytes, settings: Settings) -> str:
    """Return the subject with the prefix, in ASCII."""
    said = next((value for _, value in field_values(raw, ["subject"])), "")
    prefix = settings.actions.subject_prefix
    if said.startswith(prefix):
        prefix = ""
    whole = f"{prefix}{said}"[:_MAX_SUBJECT_CHARACTERS]
    if not whole.isascii():
        text = whole.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        words = Header(text[:_MAX_ENCODED_CHARACTERS], "utf-8").encode(linesep="\n").split("\n")
        whole = " ".join(word.strip() for word in words)
    return ascii_value(whole)


def _why(judgement: Judgement) -> str:
    levels = {"your organisation": judgement.group, "you": judgement.personal}
    parts = [f"everyone {judgement.shared:+.1f}"]
    parts += [f"{whose} {odds:+.1f}" for whose, odds in levels.items() if round(odds, 1)]
    return ", ".join(parts)


def _fields(
    case: Case, symbols: Iterable[Symbol], points: float, required: float
) -> Iterable[tuple[str, str]]:
    """Yield the fields that tell of a ruling."""
    judgement = case.judgement
    verdict = judgement.verdict
    if case.listing is Listing.ALLOWED:
        verdict = Verdict.HAM
    elif case.listing is Listing.DENIED:
        verdict = Verdict.SPAM
    is_spam = points >= required
    yield ID_FIELD, judgement.id
    yield "X-Mtspam-Verdict", str(verdict)
    yield "X-Mtspam-Score", f"{judgement.score:.2f} / {judgement.probability:.4f}"
    yield "X-Mtspam-Why", _why(judgement)
    if is_spam:
        yield "X-Spam-Flag", "YES"
    stars = min(int(max(points, 0.0)), _MAX_STARS)
    if stars:
        yield "X-Spam-Level", "*" * stars
    tests = ",".join([one.name for one in symbols])
    word = "Yes" if is_spam else "No"
    yield "X-Spam-Status", f"{word}, score={points:.1f} required={required:.1f} tests={tests}"
