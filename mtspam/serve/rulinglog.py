"""The service with a line in the log for each ruling, cheap enough to be on always."""

import logging
import os
import time
from dataclasses import asdict

from mtspam.serve.contract import Envelope, Ruling
from mtspam.serve.live import LiveView
from mtspam.serve.lmtp.parcels import Parcels
from mtspam.serve.logs import quoted, stamp
from mtspam.serve.roster import Roster
from mtspam.serve.service import MailService

__all__ = ["LoggedService"]

_log = logging.getLogger(__name__)

_STANDARD_ERROR = 2
_MOST_SHOWN = 64
_ID_DIGITS = 16
_USER_DIGITS = 8


class LoggedService(MailService):
    """Logs each ruling: which message, for whom, what, how long it took.

    A user is shown as the first eight digits of their key, a message as its id; neither text nor
    addresses are shown.
    """

    roster: Roster | None = None
    """Which processes there are; None where this is the only one."""

    parcels: Parcels | None = None
    """What is on its way to the mailboxes; None where nothing goes there."""

    def rule(self, raw: bytes, envelope: Envelope) -> tuple[Ruling, ...]:
        """Rule on a message for each recipient, in their order; for nobody where there is none."""
        began = time.perf_counter()
        rulings = super().rule(raw, envelope)
        if _log.isEnabledFor(logging.INFO):
            self._log(rulings, envelope, time.perf_counter() - began)
        return rulings

    def rule_together(self, raw: bytes, envelope: Envelope) -> Ruling:
        """Rule on a message where the protocol has one answer for all recipients."""
        began = time.perf_counter()
        ruling = super().rule_together(raw, envelope)
        if _log.isEnabledFor(logging.INFO):
            self._log((ruling,), envelope, time.perf_counter() - began)
        return ruling

    def model_figures(self) -> dict[str, float]:
        """Return how the model is now, for metrics, each name after ``model:``."""
        if not isinstance(self._model, LiveView):
            return {}
        state = asdict(self._model.area.state())
        return {f"model:{name}": float(value) for name, value in state.items()}

    def _log(self, rulings: tuple[Ruling, ...], envelope: Envelope, seconds: float) -> None:
        head = f"{stamp(time.time())} level=info from=ruling pid={os.getpid()} msg=ruled"
        queue = quoted((envelope.queue_id or "-")[:_MOST_SHOWN])
        for ruling in rulings:
            # One write a line: lines of several workers do not mix.
            line = (
                f"{head} face={envelope.protocol or '-'} queue={queue} "
                f"id={ruling.judgement.id[:_ID_DIGITS]} user={self._shown(ruling.recipient)} "
                f'verdict={ruling.judgement.verdict} action="{ruling.action}" '
                f"points={ruling.points:.2f} ms={seconds * 1000:.2f}\n"
            )
            try:
                os.write(_STANDARD_ERROR, line.encode())
            except OSError:
                return

    def _shown(self, recipient: str) -> str:
        if not recipient:
            return "-"
        return self._people.keys(recipient)[0].hex()[:_USER_DIGITS] or "-"
