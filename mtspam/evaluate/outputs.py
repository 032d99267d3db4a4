"""Files that an evaluation leaves: whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtspam.errors import DataError
from mtspam.evaluate.figures import Json
from mtspam.evaluate.progressive import Run

__all__ = ["replacing", "write_json", "write_scores"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a new file beside `path` that takes its place when the block ends well.

    Parameters
    ----------
    path
        The file to write; an old one stays until the new one is whole. A pipe or a device is
        written to as it is.

    Yields
    ------
    Path
        The file to write to, with the same ending.

    Raises
    ------
    DataError
        If the file cannot be written; nothing is left behind.
    """
    target = path.resolve()
    is_special = target.exists() and not target.is_file()
    beside = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        if is_special:
            yield target
            return
        beside.touch()
        yield beside
        beside.replace(target)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if not is_special:
            beside.unlink(missing_ok=True)


def write_json(report: Json, path: Path) -> None:
    """Write a report as JSON.

    Parameters
    ----------
    report
        From `mtspam.evaluate.figures.as_json`.
    path
        The file to write.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_scores(run: Run, path: Path) -> None:
    """Write the scores table as Parquet, one row a message that counts, in order.

    Columns: *path*, *label* (ham, spam or phishing), *user* (null for nobody), *score*
    (log-odds), *probability*, *feedback* (whether the filter was ever told the label).

    Parameters
    ----------
    run
        From `mtspam.evaluate.progressive.run_progressive`.
    path
        The file to write.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    import polars as pl  # noqa: PLC0415 - a tenth of a second, only for who wants the table

    table = pl.DataFrame(
        {
            "path": [_text(entry.path) for entry in run.entries],
            "label": [entry.label.value for entry in run.entries],
            "user": [None if entry.user is None else _text(entry.user) for entry in run.entries],
            "score": run.scores.blend,
            "probability": run.scores.probability,
            "feedback": run.has_feedback,
        },
        schema_overrides={"user": pl.String},
    )
    with replacing(path) as beside:
        try:
            table.write_parquet(beside)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{path}: cannot be written: {error}") from error


def _text(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
