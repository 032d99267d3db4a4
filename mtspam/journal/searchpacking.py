"""Events of a search as bytes and back: what the journal stores of them. Nothing here does I/O.

Numbers that all candidates of a ranking have are one block; all else is JSON. Names of users,
sessions and events are hashed before they come here.
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError, JournalError
from mtspam.search.blocks import BlockFields
from mtspam.search.events import (
    Event,
    FieldValue,
    Interaction,
    Item,
    Judgement,
    RankingShown,
    ShownItem,
    Subject,
)

__all__ = ["KINDS", "pack_event", "unpack_event"]

_VERSION = 2
_WITHOUT_HOST_PLACES = 1
"""Of rankings shown in the host's order, and of all rankings once: older readers know it."""
_NUMBERS = frozenset({float, int})
_HEAD = struct.Struct("<BBHI")  # version, width of a number in bytes, numbers a row, rows
_WIDTHS: Mapping[int, type[np.floating]] = {4: np.float32, 8: np.float64}

KINDS: Mapping[str, type[Event]] = {
    "item": Item,
    "subject": Subject,
    "ranking": RankingShown,
    "interaction": Interaction,
    "judgement": Judgement,
}
"""The names under which the kinds of events are stored."""


def pack_event(event: Event) -> bytes:
    """Pack what an event says beside its id, its time and its user.

    Raises
    ------
    DataError
        If a field is neither a boolean, a number, a text nor a list of numbers or texts.
    """
    block = np.empty((0, 0))
    if isinstance(event, RankingShown):
        said, block = _ranking(event)
    elif isinstance(event, Item):
        said = [event.item, _fields(event.fields)]
    elif isinstance(event, Subject):
        said = [_fields(event.fields)]
    elif isinstance(event, Interaction):
        said = [event.kind, event.item, event.session, event.market, event.value]
    else:
        said = [event.query, event.item, event.market, event.grade]
    try:
        words = json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"an event cannot be stored: {error}") from error
    with np.errstate(over="ignore"):
        narrow = block.astype(np.float32)
    version = _VERSION if _is_rearranged(event) else _WITHOUT_HOST_PLACES
    is_narrow = np.array_equal(narrow, block, equal_nan=True)
    numbers = (narrow if is_narrow else block).T.tobytes()  # columns compress better than rows
    head = _HEAD.pack(version, 4 if is_narrow else 8, block.shape[1], block.shape[0])
    packer = zlib.compressobj(1, zlib.DEFLATED, -13, 6)
    text = words.encode("utf-8", "surrogatepass")
    return head + packer.compress(text + b"\0" + numbers) + packer.flush()


def _ranking(event: RankingShown) -> tuple[list[Any], NDArray[np.float64]]:
    items = event.items
    names = [name for name, value in items[0].fields.items() if _is_number(value)] if items else []
    first = items[0].fields if items else {}
    if isinstance(first, BlockFields) and all(_is_row(item, first) for item in items):
        names = list(first.places)
        features = first.block[[item.fields.row for item in items]]  # type: ignore[attr-defined]  # rows of one block
    else:
        names, features = _common_numbers(items, names)
    scores = np.array([item.score for item in items], np.float64)
    is_scored = bool(np.isfinite(scores).any())
    block = np.concatenate([features, scores[:, None]], axis=1) if is_scored else features
    taken = set(names)
    rest = [
        {name: value for name, value in item.fields.items() if name not in taken}
        if len(item.fields) > len(taken)
        else {}
        for item in items
    ]
    labels = [item.label for item in items]
    return [
        event.query,
        event.market,
        event.session,
        _fields(event.fields),
        [item.item for item in items],
        names,
        is_scored,
        [_fields(one) for one in rest] if any(rest) else 0,
        labels if any(label is not None for label in labels) else 0,
        *([list(event.host_places)] if _is_rearranged(event) else ()),
    ], block


def _common_numbers(
    items: Sequence[ShownItem], names: list[str]
) -> tuple[list[str], NDArray[np.float64]]:
    """Return which of some fields are numbers of all candidates, and these as one block."""
    if len(names) > 1:
        pick, pack = itemgetter(*names), struct.Struct(f"{len(names)}d").pack
        try:
            rows = [pick(one.fields) for one in items]
            if set(map(type, chain.from_iterable(rows))) <= _NUMBERS:
                flat = np.frombuffer(b"".join([pack(*row) for row in rows]))
                return names, flat.reshape(len(items), len(names))
        except (KeyError, struct.error, OverflowError):
            pass  # not all candidates have all of them
    names = [name for name in names if all(_is_number(one.fields.get(name)) for one in items)]
    block = np.array([[one.fields[name] for name in names] for one in items], np.float64)
    return names, block.reshape(len(items), len(names))


def _is_rearranged(event: Event) -> bool:
    """Tell whether a ranking was shown in another order than the host's."""
    return isinstance(event, RankingShown) and any(
        place != own for place, own in enumerate(event.host_places)
    )


def _is_row(item: ShownItem, first: BlockFields) -> bool:
    return isinstance(item.fields, BlockFields) and item.fields.block is first.block


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _fields(fields: Mapping[str, FieldValue]) -> dict[str, Any]:
    return {name: _plain(name, value) for name, value in fields.items()}


def _plain(name: str, value: FieldValue) -> object:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, float | int):
        return None if math.isnan(value) else _finite(name, value)
    if isinstance(value, Sequence):
        return [_plain(name, one) for one in value]
    raise DataError(
        f"field {name!r} is {type(value).__name__}; it must be a boolean, a number, a text or a "
        "list of them"
    )


def _finite(name: str, value: float) -> float:
    if math.isinf(value):
        raise DataError(f"field {name!r} is {value}; it must be a finite number")
    return value


def unpack_event(kind: str, keys: tuple[str, str, str], time: int, packed: bytes) -> Event:
    """Unpack what `pack_event` made.

    Parameters
    ----------
    kind
        One of `KINDS`.
    keys
        The hashed ids of the event, of its user and of its ranking.
    time
        Milliseconds since 1970.
    packed
        Any bytes.

    Raises
    ------
    JournalError
        If `packed` is torn, changed, or of a newer format.
    """
    own, user, about = keys
    try:
        said, block = _unpacked(packed)
        if kind == "ranking":
            return _shown(own, user, time, said, block)
        if kind == "item":
            return Item(id=own, time=time, item=said[0], fields=_values(said[1]))
        if kind == "subject":
            return Subject(id=own, time=time, user=user, fields=_values(said[0]))
        if kind == "interaction":
            return Interaction(
                id=own, time=time, kind=said[0], item=said[1], session=said[2], market=said[3],
                value=said[4], ranking=about, user=user,
            )  # fmt: skip
        return Judgement(
            id=own, time=time, query=said[0], item=said[1], market=said[2], grade=said[3],
            user=user,
        )  # fmt: skip
    except (zlib.error, struct.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise JournalError(f"an event of a search is torn or damaged ({error})") from error


def _unpacked(packed: bytes) -> tuple[list[Any], NDArray[np.float64]]:
    version, width, n_names, n_rows = _HEAD.unpack_from(packed)
    if not _WITHOUT_HOST_PLACES <= version <= _VERSION:
        raise ValueError(f"format {version}, known is {_VERSION}")
    words, _, numbers = zlib.decompress(packed[_HEAD.size :], -13).partition(b"\0")
    flat = np.frombuffer(numbers, _WIDTHS[width])
    block = flat.reshape(n_names, n_rows).T.astype(np.float64, order="C")
    return _decoded(words), block


def _decoded(words: bytes) -> list[Any]:
    try:
        found: list[Any] = msgspec.json.decode(words)
    except (msgspec.DecodeError, UnicodeDecodeError):  # halves of surrogate pairs are in a name
        found = json.loads(words.decode("utf-8", "surrogatepass"))
    return found


def _shown(
    own: str, user: str, time: int, said: list[Any], block: NDArray[np.float64]
) -> RankingShown:
    query, market, session, fields, items, names, is_scored, rests, labels, *more = said
    host_places = more[0] if more else [None] * len(items)
    places = {name: place for place, name in enumerate(names)}
    scores = block[:, len(names)].tolist() if is_scored else [float("nan")] * len(items)
    features = block[:, : len(names)]
    return RankingShown(
        id=own,
        time=time,
        query=query,
        user=user,
        market=market,
        session=session,
        fields=_values(fields),
        items=tuple(
            ShownItem(
                item,
                scores[row],
                BlockFields(places, features, row, _values(rests[row]) if rests else {})
                if places
                else (_values(rests[row]) if rests else {}),
                labels[row] if labels else None,
                host_places[row],
            )
            for row, item in enumerate(items)
        ),
    )


def _values(fields: Mapping[str, Any]) -> dict[str, FieldValue]:
    return {
        name: tuple(value) if isinstance(value, list) else float("nan") if value is None else value
        for name, value in fields.items()
    }
