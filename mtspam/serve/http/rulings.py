"""A ruling in the forms that rspamd's clients read."""

from typing import Any

from mtspam.serve.contract import Action, Ruling
from mtspam.serve.http.heads import Head

__all__ = [
    "as_checkv2",
    "as_legacy",
    "as_no_action",
    "refusal_text",
]

_SCORE_DIGITS = 3
_LAST = -1
"""Where a field goes: behind all others."""


def refusal_text(ruling: Ruling) -> str | None:
    """Return what the sender is told, without the codes that the mail server adds itself.

    Where a ruling has the text ``550 5.7.1 Refused``, this is ``Refused``.
    """
    if ruling.text is None:
        return None
    words = ruling.text.split()
    while words and words[0].replace(".", "").isdigit():
        words = words[1:]
    return " ".join(words)


def as_checkv2(ruling: Ruling, raw: bytes, seconds: float) -> dict[str, Any]:
    """Return the reply of ``/checkv2``."""
    reply: dict[str, Any] = {
        "is_skipped": False,
        "score": round(ruling.points, _SCORE_DIGITS),
        "required_score": ruling.required,
        "action": ruling.action.value,
        "thresholds": {Action.ADD_HEADER.value: ruling.required},
        "symbols": _symbols(ruling, metric=True),
    }
    if ruling.subject is not None:
        reply["subject"] = ruling.subject
    _end(reply, ruling, raw, seconds, milter="milter")
    return reply


def as_legacy(ruling: Ruling, raw: bytes, seconds: float) -> dict[str, Any]:
    """Return the reply of ``/check``, where symbols lie among the figures."""
    reply: dict[str, Any] = {
        "default": {
            "is_spam": ruling.is_spam,
            "is_skipped": False,
            "score": round(ruling.points, _SCORE_DIGITS),
            "required_score": ruling.required,
            "action": ruling.action.value,
            **_symbols(ruling, metric=False),
        }
    }
    if ruling.subject is not None:
        reply["default"]["subject"] = ruling.subject
    _end(reply, ruling, raw, seconds, milter="rmilter")
    return reply


def as_no_action(required: float, seconds: float, *, is_legacy: bool) -> dict[str, Any]:
    """Return the reply that lets a message pass which nobody could judge."""
    verdict: dict[str, Any] = {
        "is_skipped": True,
        "score": 0.0,
        "required_score": required,
        "action": Action.NO_ACTION.value,
    }
    end = {"messages": {}, "time_real": round(seconds, 6)}
    if is_legacy:
        return {"default": {"is_spam": False, **verdict}, **end}
    return {**verdict, "symbols": {}, **end}


def _symbols(ruling: Ruling, *, metric: bool) -> dict[str, dict[str, Any]]:
    symbols: dict[str, dict[str, Any]] = {}
    for symbol in ruling.symbols:
        points = round(symbol.points, _SCORE_DIGITS)
        entry: dict[str, Any] = {"name": symbol.name, "score": points}
        if metric:
            entry["metric_score"] = points
        entry["description"] = symbol.text
        symbols[symbol.name] = entry
    return symbols


def _end(
    reply: dict[str, Any], ruling: Ruling, raw: bytes, seconds: float, *, milter: str
) -> None:
    text = refusal_text(ruling)
    reply["messages"] = {} if text is None else {"smtp_message": text}
    head = Head(raw)
    reply[milter] = _milter(ruling, head)
    if ruling.action in (Action.DISCARD, Action.QUARANTINE):
        reply["reject"] = ruling.action.value
    own_id = head.message_id()
    if own_id is not None:
        reply["message-id"] = own_id
    reply["time_real"] = round(seconds, 6)


def _milter(ruling: Ruling, head: Head) -> dict[str, Any]:
    """Return what a mail server is to do to the header."""
    added: dict[str, Any] = {}
    for name, value in ruling.fields:
        entry = {"value": value, "order": _LAST}
        if name not in added:
            added[name] = entry
        elif isinstance(added[name], list):
            added[name].append(entry)
        else:
            added[name] = [added[name], entry]
    # Whatever says the same without having been said by us goes, however often it is there.
    milter: dict[str, Any] = {"remove_headers": dict.fromkeys([*added, *head.forged_names()], 0)}
    if added:
        milter["add_headers"] = added
    if ruling.action in (Action.DISCARD, Action.QUARANTINE):
        milter["reject"] = ruling.action.value
    return milter
