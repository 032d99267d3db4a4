"""The counts of all workers in the forms that rspamd's tools and Prometheus read."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mtspam import __version__
from mtspam.serve.contract import Action
from mtspam.serve.counters import SECONDS_BOUNDS

__all__ = ["OPENMETRICS", "as_auth", "as_metrics", "as_stat"]

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ACTIONS = tuple(action.value for action in Action)
_MILD = frozenset({Action.NO_ACTION.value})

Totals = Mapping[str, float]
_Family = Callable[[str, str, str, Iterable[tuple[str, float]]], None]


def _actions(totals: Totals) -> dict[str, int]:
    return {action: int(totals.get(f"action:{action}", 0)) for action in _ACTIONS}


def _learned(totals: Totals) -> int:
    return int(totals.get("learned:new", 0) + totals.get("learned:changed", 0))


def _spam(totals: Totals) -> int:
    return sum(n for action, n in _actions(totals).items() if action not in _MILD)


def as_stat(totals: Totals, began: float) -> dict[str, Any]:
    """Return the reply of ``/stat``: what there is of rspamd's figures.

    Parameters
    ----------
    totals
        Sums by name, as `Counters.totals` gives them.
    began
        Unix seconds at which the service began.
    """
    scanned = int(totals.get("rulings", 0))
    return {
        "version": __version__,
        "read_only": False,
        "uptime": int(time.time() - began),
        "scanned": scanned,
        "learned": _learned(totals),
        "actions": _actions(totals),
        "spam_count": _spam(totals),
        "ham_count": scanned - _spam(totals),
        "total_learns": _learned(totals),
        "statfiles": [],
    }


def as_auth(totals: Totals, began: float) -> dict[str, Any]:
    """Return the reply of ``/auth``."""
    actions = _actions(totals)
    return {
        "auth": "ok",
        "version": __version__,
        "uptime": int(time.time() - began),
        "read_only": False,
        "clean": actions[Action.NO_ACTION.value],
        "probable": actions[Action.ADD_HEADER.value] + actions[Action.REWRITE_SUBJECT.value],
        "greylist": 0,
        "reject": actions[Action.REJECT.value],
        "soft_reject": actions[Action.TEMPFAIL.value],
        "scanned": int(totals.get("rulings", 0)),
        "learned": _learned(totals),
    }


def as_metrics(totals: Totals, began: float) -> bytes:
    """Return all counts as OpenMetrics, by rspamd's names where it has them."""
    lines: list[str] = []

    def family(name: str, kind: str, text: str, samples: Iterable[tuple[str, float]]) -> None:
        lines.append(f"# TYPE {name} {kind}")
        lines.append(f"# HELP {name} {text}")
        lines.extend(f"{name}{suffix} {_number(value)}" for suffix, value in samples)

    version = f'{{version="{__version__}"}}'
    scanned = totals.get("rulings", 0.0)
    family("rspamd_build_info", "gauge", "Version, as rspamd says it.", [(version, 1)])
    family("mtspam_build", "info", "Version.", [("_info" + version, 1)])
    family("process_start_time_seconds", "gauge", "When the service began.", [("", began)])
    family("rspamd_read_only", "gauge", "Whether nothing can be taught.", [("", 0)])
    family("rspamd_scanned", "counter", "Messages ruled on.", [("_total", scanned)])
    family("rspamd_learned", "counter", "Labels learnt.", [("_total", _learned(totals))])
    family("rspamd_spam", "counter", "Messages with an action.", [("_total", _spam(totals))])
    family("rspamd_ham", "counter", "Those without.", [("_total", scanned - _spam(totals))])
    family(
        "rspamd_actions",
        "counter",
        "Messages by action.",
        [(f'_total{{type="{name}"}}', n) for name, n in _actions(totals).items()],
    )
    average = totals.get("seconds", 0.0) / scanned if scanned else 0.0
    family("rspamd_scan_time_average", "gauge", "Mean seconds of a ruling.", [("", average)])
    family("mtspam_ruling_seconds", "histogram", "Seconds of rulings.", _classes(totals, ""))
    family(
        "mtspam_labels", "counter", "Labels by what became of them.", _named(totals, "learned:")
    )
    _add_ranking(totals, family)
    model = [
        (f'{{name="{name.removeprefix("model:")}"}}', value)
        for name, value in sorted(totals.items())
        if name.startswith("model:")
    ]
    family("mtspam_model", "gauge", "The model now.", model)
    others = [
        (f'_total{{name="{name}"}}', value)
        for name, value in sorted(totals.items())
        if name not in ("rulings", "seconds")
        and not name.startswith(("action:", "seconds_in:", "learned:", "model:", "rank:"))
    ]
    family("mtspam_events", "counter", "What else was counted.", others)
    lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode("utf-8")


def _add_ranking(totals: Totals, family: _Family) -> None:
    for name, text in (
        ("rankings", "Lists of results ranked."),
        ("candidates", "Results in them."),
        ("unchanged", "Lists left in the host's order."),
    ):
        whole = name if name == "rankings" else f"rankings_{name}"
        family(f"mtspam_{whole}", "counter", text, [("_total", totals.get(f"rank:{name}", 0.0))])
    family(
        "mtspam_ranking_seconds",
        "histogram",
        "Seconds of rankings, waiting included.",
        _classes(totals, "rank:"),
    )
    family(
        "mtspam_ranking_events",
        "counter",
        "What was journalled of searches; the same: it was known.",
        _named(totals, "rank:event:"),
    )
    family(
        "mtspam_ranking_refusals",
        "counter",
        "Rankings and feedback turned away.",
        _named(totals, "rank:refused:"),
    )


def _named(totals: Totals, prefix: str) -> list[tuple[str, float]]:
    return [
        (f'_total{{outcome="{name.removeprefix(prefix)}"}}', value)
        for name, value in sorted(totals.items())
        if name.startswith(prefix)
    ]


def _classes(totals: Totals, prefix: str) -> list[tuple[str, float]]:
    samples: list[tuple[str, float]] = []
    so_far = 0.0
    for bound in (*SECONDS_BOUNDS, "+Inf"):
        so_far += totals.get(f"{prefix}seconds_in:{bound}", 0.0)
        samples.append((f'_bucket{{le="{bound}"}}', so_far))
    return [*samples, ("_sum", totals.get(f"{prefix}seconds", 0.0)), ("_count", so_far)]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
