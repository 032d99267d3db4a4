"""Files for learning to rank: ``grade qid:7 1:0.5 …``, or LibSVM lines with a file of sizes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from mtspam.errors import DataError
from mtspam.search.blocks import BlockFields
from mtspam.search.events import FieldValue, RankingShown, ShownItem
from mtspam.search.reading.lines import numbered_lines
from mtspam.search.reading.values import grade_of

__all__ = ["numbered_apart", "read_letor", "sizes_file"]

_Row = tuple[str, str, ShownItem]


def sizes_file(path: str) -> Path:
    """Return where the sizes of queries may lie: ``rank.train.query`` beside ``rank.train``."""
    return Path(f"{path}.query")


def read_letor(path: str) -> Iterator[RankingShown]:
    """Yield a ranking for each query; documents in the order of the file are the host's.

    Features are named ``f1``, ``f2`` …; a document is named by ``docid = …`` in its comment, as in
    LETOR 4, else by query and place. The file knows no times: queries are a millisecond apart.

    Parameters
    ----------
    path
        Lines of a grade, ``qid:`` and features. Without ``qid:`` a file of the same name and
        ``.query`` says how many lines each query has.

    Raises
    ------
    DataError
        If a line is none of that, a query comes in two places, or the sizes do not fit.
    """
    rows = (_row(text, place) for place, text in numbered_lines(path))
    sizes = sizes_file(path)
    parts = _by_size(rows, path, sizes) if sizes.exists() else _by_name(rows)
    for time, (query, shown) in enumerate(parts):
        items = tuple(
            replace(one, item=one.item or f"{query}/{n}", fields=fields)
            for n, (one, fields) in enumerate(zip(shown, _compact(shown), strict=True))
        )
        yield RankingShown(id=f"query {query}", time=time, items=items, query=query)


def numbered_apart(shown: RankingShown, name: str) -> RankingShown:
    """Return a ranking as of a file that numbers its queries, and so its documents, anew.

    Those of other kinds of files, and documents that have names, stay as they are.

    Examples
    --------
    >>> shown = RankingShown(id="query 7", time=0, items=(ShownItem("7/0"),), query="7")
    >>> apart = numbered_apart(shown, "valid")
    >>> apart.query, apart.items[0].item
    ('valid 7', 'valid 7/0')
    """
    if shown.id != f"query {shown.query}":
        return shown
    items = tuple(
        replace(one, item=f"{name} {one.item}") if one.item == f"{shown.query}/{n}" else one
        for n, one in enumerate(shown.items)
    )
    return replace(shown, query=f"{name} {shown.query}", items=items)


def _compact(shown: Sequence[ShownItem]) -> Sequence[Mapping[str, FieldValue]]:
    """Return the fields, as rows of one block where all have the same: an eighth of the memory."""
    names = tuple(shown[0].fields) if shown else ()
    if any(tuple(one.fields) != names for one in shown):
        return [one.fields for one in shown]
    block = np.array([tuple(one.fields.values()) for one in shown], np.float64)
    return [BlockFields(_places(names), block, row, {}) for row in range(len(shown))]


@lru_cache(maxsize=8)
def _places(names: tuple[str, ...]) -> dict[str, int]:
    """Return the column of each name; one object for all queries that have the same."""
    return {name: place for place, name in enumerate(names)}


def _row(text: str, place: str) -> _Row:
    data, _, comment = text.partition("#")
    query, fields = "", {}
    grade, *pairs = data.split() or [""]
    try:
        label = float(grade)
        for pair in pairs:
            name, value = pair.split(":", 1)
            if name == "qid":
                query = value
            else:
                fields[f"f{int(name)}"] = float(value)
    except ValueError:
        raise DataError(
            f"{place}: {text[:60]!r} is no line of a grade and numbered features"
        ) from None
    words = comment.replace("=", " ").split()
    item = words[words.index("docid") + 1] if "docid" in words[:-1] else ""
    return (
        place,
        query,
        ShownItem(item, fields=fields, label=grade_of(label, f"{place}: the first number")),
    )


def _by_name(rows: Iterator[_Row]) -> Iterator[tuple[str, list[ShownItem]]]:
    seen: set[str] = set()
    for query, group in groupby(rows, key=lambda row: row[1]):
        found = list(group)
        if not query:
            raise DataError(
                f"{found[0][0]}: no qid:, and no file of sizes beside it that would say which "
                "lines are one query"
            )
        if query in seen:
            raise DataError(f"{found[0][0]}: query {query} was there before, its lines apart")
        seen.add(query)
        yield query, [shown for _, _, shown in found]


def _by_size(
    rows: Iterator[_Row], path: str, sizes: Path
) -> Iterator[tuple[str, list[ShownItem]]]:
    for number, (place, text) in enumerate(numbered_lines(str(sizes)), 1):
        if not (text.isascii() and text.isdigit()):
            raise DataError(f"{place}: {text[:60]!r} is no number of lines")
        shown = [one for _, _, one in islice(rows, int(text))]
        if len(shown) < int(text):
            raise DataError(f"{place}: {path} ends before the {text} lines of this query")
        yield str(number), shown
    if next(rows, None) is not None:
        raise DataError(f"{path}: it has more lines than {sizes} gives to queries")
