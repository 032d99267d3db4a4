"""Gain against history as a picture; matplotlib is loaded only here, when asked for."""

from collections.abc import Sequence
from pathlib import Path

from mtspam.errors import DataError
from mtspam.evaluate.outputs import replacing
from mtspam.evaluate.ranking import RankRow

__all__ = ["plot_ranking"]

_FORMATS = {".svg": "svg", ".png": "png", ".pdf": "pdf"}
_PREFIX = "history "


def plot_ranking(rows: Sequence[RankRow], path: Path) -> None:
    """Draw nDCG@10 of each order against how many rankings the user had before.

    Parameters
    ----------
    rows
        From `mtspam.evaluate.ranking.rank_rows`, with splits by history.
    path
        The file to write; its ending is .svg, .png or .pdf.

    Raises
    ------
    DataError
        If the ending is another, no row is split by history, or the file cannot be written.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: a plot ends in {', '.join(_FORMATS)}, got {path.suffix!r}")
    shown = [row for row in rows if row.split.startswith(_PREFIX)]
    if not shown:
        raise DataError("no ranking names a user: there is no history to draw against")
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, only for who wants a plot
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    splits = list(dict.fromkeys(row.split for row in shown))
    for name in dict.fromkeys(row.name for row in shown):
        own = [row for row in shown if row.name == name]
        places = [splits.index(row.split) for row in own]
        values = [row.ndcg_at_10.value for row in own]
        below = [row.ndcg_at_10.value - row.ndcg_at_10.low for row in own]
        above = [row.ndcg_at_10.high - row.ndcg_at_10.value for row in own]
        axes.errorbar(places, values, yerr=[below, above], label=name, capsize=3, marker="o")
    axes.set_xticks(range(len(splits)), [split.removeprefix(_PREFIX) for split in splits])
    axes.set(xlabel="earlier rankings of the user", ylabel="nDCG@10", title="Gain by history")
    axes.grid(alpha=0.3)
    axes.legend()
    # Neither date nor random ids, so that the same run gives the same file.
    with rc_context({"svg.hashsalt": "mtspam"}), replacing(path) as beside:
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(beside, format=kind, dpi=150, metadata=metadata)
