"""ROC and learning curve as a picture; matplotlib is loaded only here, when asked for."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtspam.errors import DataError
from mtspam.evaluate.outputs import replacing
from mtspam.evaluate.progressive import Run
from mtspam.evaluate.report import MailReport
from mtspam.metrics.binary import Roc, roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_mail"]

_FORMATS = {".svg": "svg", ".png": "png", ".pdf": "pdf"}
_PERCENTS = np.array([0.01, 0.1, 1.0, 5.0, 20.0, 50.0])
_LOWEST, _HIGHEST = 0.01, 60.0
"""Axis limits in percent: those of the TREC spam track's plots, and a little past a coin toss."""
_COLOURS = {"blend": "#0b5394", "shared": "#b45f06", "personal": "#38761d"}
_STEPS_A_LOGIT = 100
"""Curves are drawn to a hundredth of a logit, which no screen tells apart."""


def plot_mail(run: Run, report: MailReport, path: Path) -> None:
    """Draw the ROC of each level and the learning curve into one picture.

    The ROC is drawn as by the TREC spam track: ham misclassified to the right, spam misclassified
    upside down, both on the log-odds scale, so that better filters lie further to the upper left
    and differences between good filters show. Rates under .01 % lie on the edge.

    Parameters
    ----------
    run
        From `mtspam.evaluate.progressive.run_progressive`.
    report
        Its report.
    path
        The file to write; its ending is .svg, .png or .pdf.

    Raises
    ------
    DataError
        If the ending is another or the file cannot be written.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: a plot ends in {', '.join(_FORMATS)}, got {path.suffix!r}")
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, only for who wants a plot
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    figure = Figure(figsize=(12.0, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_roc(left, run)
    _draw_learning_curve(right, report)
    # Neither date nor random ids, so that the same run gives the same file.
    with rc_context({"svg.hashsalt": "mtspam"}), replacing(path) as beside:
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(beside, format=kind, dpi=150, metadata=metadata)


def _draw_roc(axes: "Axes", run: Run) -> None:
    for name, colour in _COLOURS.items():
        curve = roc(run.is_spam, getattr(run.scores, name))
        if curve.n_ham and curve.n_spam:
            axes.plot(*_corners(curve), color=colour, label=name, drawstyle="steps-post")
    ticks = _logit(_PERCENTS)
    labels = [f"{percent:g}" for percent in _PERCENTS]
    axes.set_xticks(ticks, labels)
    axes.set_yticks(ticks, labels)
    axes.set_xlim(*_logit(np.array([_LOWEST, _HIGHEST])))
    axes.set_ylim(*_logit(np.array([_HIGHEST, _LOWEST])))
    axes.set(title="ROC", xlabel="ham misclassified, %", ylabel="spam misclassified, %")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="lower right")


def _draw_learning_curve(axes: "Axes", report: MailReport) -> None:
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 - as above

    points = report.learning_curve
    positions = [point.position for point in points]
    errors = [point.error_percent for point in points]
    areas = np.array([point.one_minus_roca_percent for point in points])
    axes.plot(positions, errors, color="#999999", label="error %, since the point before")
    axes.set(title="Learning curve", xlabel="messages", ylabel="error, %")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    twin = axes.twinx()
    if np.any(areas > 0.0):
        # On a log scale nothing is at zero: a perfect stretch is a gap.
        shown = np.where(areas > 0.0, areas, np.nan)
        twin.plot(positions, shown, color=_COLOURS["blend"], label="(1−ROCA) %, so far")
        twin.set_yscale("log")
        # Room above and below, so that noise does not look like a trend.
        twin.set_ylim(float(np.nanmin(shown)) / 2.0, float(np.nanmax(shown)) * 2.0)
        twin.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        twin.yaxis.set_major_formatter("{x:g}")
        twin.yaxis.set_minor_locator(NullLocator())
    twin.set_ylabel("(1−ROCA), %")
    axes.legend(handles=[*axes.lines, *twin.lines], loc="upper right")


def _corners(curve: Roc) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a curve on the log-odds scale, without points that fall on one spot."""
    hm = _logit(100.0 * curve.n_ham_wrong[::-1] / curve.n_ham)
    sm = _logit(100.0 * curve.n_spam_wrong[::-1] / curve.n_spam)
    spots = np.round(np.column_stack([hm, sm]) * _STEPS_A_LOGIT)
    is_new = np.any(np.diff(spots, axis=0, prepend=np.inf) != 0.0, axis=1)
    return hm[is_new], sm[is_new]


def _logit(percent: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(percent / 100.0, _LOWEST / 100.0, 1.0 - _LOWEST / 100.0)
    return np.asarray(np.log(bounded / (1.0 - bounded)), dtype=np.float64)
