"""Tables of results: on the terminal, and `docs/benchmarks.md` for readers.

``python benchmarks/report.py [SIZE]`` writes the document from the JSON files of the last runs
at that size (default full).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from results import read_results

__all__ = ["DOCUMENT", "print_quality", "print_speed", "write_docs"]

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"

_Record = Mapping[str, object]

_MAIL_HEAD = ("filter", "mail", "n", "(1-ROCA)%", "error %", "hm %", "sm %", "seconds")
_MAIL_KEYS = ("one_minus_roca_percent", "error_percent", "hm_percent", "sm_percent")
_VECTOR_HEAD = ("filter", "AUC all", "first 50", "second half", "seconds")
_VECTOR_KEYS = ("auc_all", "auc_first_50", "auc_second_half")
_SPEED_HEAD = ("what", "who", "value", "unit", "ratio to the peer")

_INTRODUCTION = """\
# Benchmarks

Written by `python benchmarks/report.py` from the results of `benchmarks/*.py`; do not edit. mtspam
runs with default settings, the same for every corpus. On mail, every filter judges each message
before it learns that message, in one pass.
"""

_BENCHMARKS = (
    ("quality_mail", "Quality on mail"),
    ("quality_rank", "Quality of rankings"),
    ("speed_mail", "Speed on mail"),
    ("speed_http", "Speed of `/checkv2`"),
    ("speed_spamd", "Speed over spamd's protocol"),
    ("speed_milter", "Cost of a milter"),
    ("load_serve", "The service under load"),
    ("kill_serve", "The service, killed"),
    ("heard_serve", "How soon a label counts"),
    ("speed_rank", "Speed of ranking"),
    ("speed_rerank", "Speed of ranking over HTTP"),
)


def _cell(value: object, digits: int) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return "" if value is None else str(value)


def _rows_of(record: _Record) -> list[Mapping[str, object]]:
    rows = record["rows"]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _mail_cells(record: _Record) -> Iterator[tuple[str, ...]]:
    for row in _rows_of(record):
        parts = row["parts"]
        for part, figures in parts.items() if isinstance(parts, dict) else ():
            numbers = (_cell(figures[key], 3 if "roca" in key else 2) for key in _MAIL_KEYS)
            seconds = _cell(row["seconds"], 1)
            yield (str(row["filter"]), part, str(figures["n"]), *numbers, seconds)
        levels = row.get("levels")
        for level, figures in levels.items() if isinstance(levels, dict) else ():
            lost = _cell(figures.get("one_minus_roca_percent"), 3)
            if level != "blend":
                yield (f"{row['filter']}, {level} alone", "all", "", lost, "", "", "", "")


def _vector_cells(record: _Record) -> Iterator[tuple[str, ...]]:
    for row in _rows_of(record):
        numbers = (_cell(row[key], 4) for key in _VECTOR_KEYS)
        yield (str(row["filter"]), *numbers, _cell(row["seconds"], 1))


def _speed_cells(record: _Record) -> Iterator[tuple[str, ...]]:
    for row in _rows_of(record):
        value = row["value"]
        digits = 0 if isinstance(value, float) and value >= 100 else 3
        ratio = _cell(row.get("ratio"), 2)
        yield (str(row["what"]), str(row["who"]), _cell(value, digits), str(row["unit"]), ratio)


def _table(record: _Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    match record.get("form"):
        case "mail":
            return _MAIL_HEAD, list(_mail_cells(record))
        case "vectors":
            return _VECTOR_HEAD, list(_vector_cells(record))
        case "speed":
            return _SPEED_HEAD, list(_speed_cells(record))
        case _:
            return _plain(record)


def _plain(record: _Record) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return rows as they are, a column for each of their names."""
    rows = _rows_of(record)
    head = tuple(dict.fromkeys(name for row in rows for name in row))
    return head, [tuple(_shown(row.get(name)) for name in head) for row in rows]


def _shown(value: object) -> str:
    if isinstance(value, dict):
        low, high = (_cell(value.get(end), 3) for end in ("low", "high"))
        return f"{_cell(value.get('value'), 4)} [{low}, {high}]"
    return _cell(value, 2)


def _n_names(record: _Record) -> int:
    return {"mail": 2, "speed": 2}.get(str(record.get("form")), 1)


def _print(record: _Record) -> None:
    from rich.console import Console
    from rich.table import Table

    head, cells = _table(record)
    table = Table(title=f"{record['title']} ({record['size']})", title_justify="left")
    n_names = _n_names(record)
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < n_names else "right")
    for row in cells:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def print_quality(records: Sequence[_Record]) -> None:
    """Print a table for each task."""
    for record in records:
        _print(record)


def print_speed(record: _Record) -> None:
    """Print the table of speeds."""
    _print(record)


def _markdown(record: _Record) -> Iterator[str]:
    head, cells = _table(record)
    yield f"### {record.get('title') or record.get('task') or 'All runs'}\n"
    size = "" if record["size"] == "full" else f" Size {record['size']}: not for conclusions."
    split = str(record.get("split", record.get("metric_rule", "")))
    seed = f" Seed {record['seed']}." if "seed" in record else ""
    yield f"{split[:1].upper()}{split[1:]}{'.' if split else ''}{seed}{size}\n".lstrip()
    yield f"| {' | '.join(head)} |"
    n_names = _n_names(record)
    yield f"|{'---|' * n_names}{'---:|' * (len(head) - n_names)}"
    for row in cells:
        yield f"| {' | '.join(row)} |"
    yield ""


def _conditions(records: Sequence[_Record]) -> Iterator[str]:
    """Say once what all records share: the rule of the figures, versions, processor."""
    for rule in sorted({str(record["metric"]) for record in records if "metric" in record}):
        yield f"- {rule[:1].upper()}{rule[1:]}."
    for record in records[:1]:
        found = record["versions"]
        known = found.items() if isinstance(found, dict) else ()
        named = ", ".join(f"{name} {version}" for name, version in known if version)
        yield f"- Versions: {named}; processor: {record['cpu']}."
    commits = sorted({str(record["commit"])[:12] for record in records})
    yield f"- Commit: {', '.join(commits)}.\n"


def write_docs(size: str = "full") -> Path:
    """Write `docs/benchmarks.md` from the results of a size and return where it is."""
    from peers import MAIL_PEERS

    lines = [_INTRODUCTION]
    for benchmark, title in _BENCHMARKS:
        records = read_results(benchmark, size) or read_results(benchmark, "small")
        if not records:
            continue
        lines += [f"## {title}\n", *_conditions(records)]
        if benchmark == "quality_mail":
            lines += [*(f"- *{peer.name}*: {peer.rule}." for peer in MAIL_PEERS), ""]
        for record in records:
            lines += _markdown(record)
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text("\n".join(lines).rstrip() + "\n", "utf-8")
    return DOCUMENT


if __name__ == "__main__":
    print(write_docs(*sys.argv[1:2]))
