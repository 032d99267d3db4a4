"""How a running service is, for whoever is woken by it: lines to read, made from its answer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from mtspam.commands.counting import counted

__all__ = ["status_lines"]

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_SHARE = 0.99
_KNOWN = ("action:", "learned:", "model:", "seconds_in:")


def status_lines(reply: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines to show of what a service says of itself.

    Parameters
    ----------
    reply
        ``version``, ``uptime`` in seconds, ``counts`` by name, and ``processes``.
    """
    counts = {str(name): float(value) for name, value in (reply.get("counts") or {}).items()}
    for name, told in (
        ("version", [str(reply.get("version", ""))]),
        ("up", [_duration(float(reply.get("uptime", 0.0)))]),
        ("runs as", _processes(reply.get("processes") or [])),
        ("mail", _mail(counts)),
        ("labels", _table(counts, "learned:") or ["none given since the start"]),
        ("model", _model(counts)),
        ("others", _others(counts)),
    ):
        for number, line in enumerate(told):
            yield click.style(f"{'' if number else name:<9}", bold=True) + line


def _duration(seconds: float) -> str:
    """Say how long something took in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        n, left = divmod(left, size)
        if n or (unit == "second" and not parts):
            parts.append(counted(n, unit))
        elif parts:
            break
    return " ".join(parts[:2])


def _processes(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which process does what, and which did not last."""
    told = [_process(one) for one in processes]
    width = max((len(name) for name, _ in told), default=0)
    return [f"{name:<{width}}  {text}" for name, text in told]


def _process(process: Mapping[str, Any]) -> tuple[str, str]:
    from mtspam.commands.verdict_lines import plain_text

    name = plain_text(str(process.get("name", "")))
    pid, begun = int(process.get("pid", 0)), int(process.get("begun", 0))
    if not pid:
        return name, "NOT THERE" if begun else "not there yet"
    text = f"process {pid}, up {_duration(float(process.get('uptime', 0.0)))}"
    return name, text + (f", started {begun} times" if begun > 1 else "")


def _mail(counts: Mapping[str, float]) -> list[str]:
    n = int(counts.get("rulings", 0.0))
    if not n:
        return ["nothing judged since the start"]
    mean = 1000 * counts.get("seconds", 0.0) / n
    speed = f"{counted(n, 'verdict')}, {mean:.2f} ms each in the mean"
    bound = _bound(counts)
    if bound:
        speed += f", {100 * _SHARE:.0f} % {bound}"
    return [speed, *_table(counts, "action:")]


def _bound(counts: Mapping[str, float]) -> str:
    """Say within which time nearly all verdicts were there."""
    from mtspam.serve.counters import SECONDS_BOUNDS

    by_bound = sorted(
        (float(name.removeprefix("seconds_in:").replace("+Inf", "inf")), n)
        for name, n in counts.items()
        if name.startswith("seconds_in:")
    )
    whole = sum(n for _, n in by_bound)
    so_far = 0.0
    for bound, n in by_bound:
        so_far += n
        if so_far >= _SHARE * whole:
            longest = SECONDS_BOUNDS[-1]
            is_over = bound > longest
            return f"in over {longest:g} s" if is_over else f"within {1000 * bound:g} ms"
    return ""


def _model(counts: Mapping[str, float]) -> list[str]:
    told = {
        name.removeprefix("model:"): int(value)
        for name, value in counts.items()
        if name.startswith("model:")
    }
    if not told:
        return ["nothing is told of it"]
    corrected = told.get("n_corrections", 0)
    exact = f"{counted(corrected, 'correction')} since" if corrected else "exact"
    behind = told.get("position", 0) - told.get("snapshot_position", 0)
    writer = told.get("writer", 0)
    return [
        f"at {told.get('position', 0):,} in the journal; "
        f"{counted(behind, 'place')} since the last snapshot",
        f"{counted(told.get('n_users', 0), 'user')}, {counted(told.get('n_groups', 0), 'group')}",
        f"generation {told.get('generation', 0):,}, folded anew "
        f"{counted(told.get('n_refolds', 0), 'time')} while serving, {exact}",
        f"{counted(told.get('n_waiting', 0), 'label')} waiting for the writer"
        + (f", process {writer}" if writer else ", which is NOT THERE: labels cannot be taken"),
    ]


def _others(counts: Mapping[str, float]) -> list[str]:
    rest = {
        name: value
        for name, value in counts.items()
        if name not in {"rulings", "seconds"} and not name.startswith(_KNOWN)
    }
    return _table(rest, "")


def _table(counts: Mapping[str, float], prefix: str) -> list[str]:
    """Return counts whose names begin so, the largest first, one below the other."""
    from mtspam.commands.verdict_lines import plain_text

    found = sorted(
        (-value, plain_text(name.removeprefix(prefix)))
        for name, value in counts.items()
        if name.startswith(prefix)
    )
    width = max((len(name) for _, name in found), default=0)
    digits = max((len(_figure(-value)) for value, _ in found), default=0)
    return [f"{name:<{width}}  {_figure(-value):>{digits}}" for value, name in found]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.3f}"
