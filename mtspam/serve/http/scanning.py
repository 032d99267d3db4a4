"""Scan requests answered, whichever way they came: over HTTP, in parts, or in one line."""

import logging
import time
from dataclasses import replace

from mtspam.config import Settings
from mtspam.errors import MtspamError
from mtspam.serve.contract import BusyError, Envelope, Ruling, Service, UnavailableError
from mtspam.serve.http.envelopes import envelope_of, refuse_local_objects
from mtspam.serve.http.messages import Answer, Arrived, Fields, RefusedError, json_answer
from mtspam.serve.http.rulings import as_checkv2, as_legacy, as_no_action
from mtspam.serve.http.unpacking import message_of, unpack_parts

__all__ = ["PONG", "SCAN_PATHS", "Scanner", "failure_text", "log_failure"]

_log = logging.getLogger(__name__)

PONG = Answer(200, b"pong\r\n", "text/plain")
_LEGACY_PATHS = frozenset({b"/check", b"/symbols", b"/scan"})
SCAN_PATHS = frozenset({b"/checkv2", b"/checkv3", b"/ping"}) | _LEGACY_PATHS
"""What `Scanner.answer` answers."""

_TRACE_SECONDS = 60.0
_next_trace: dict[type[Exception], float] = {}
_BOUNDARY = b"mtspam-result"


class Scanner:
    """Answers the endpoints that a mail server asks for each message.

    Parameters
    ----------
    service
        Whom to ask.
    settings
        All of them.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._limit = settings.mail.max_message_bytes
        self.required = settings.actions.required_points
        self.passes_on_failure = settings.http.on_failure == "pass"

    def answer(self, request: Arrived) -> Answer:
        """Answer a request for one of `SCAN_PATHS`; never raises."""
        path = request.target.partition(b"?")[0]
        if path == b"/ping":
            return PONG
        began = time.perf_counter()
        try:
            return self._scan(path, request, began)
        except RefusedError as refusal:
            return refusal.answer()
        except Exception as problem:  # noqa: BLE001 - the protocol's edge: every request gets an answer
            return self._failed(problem, path in _LEGACY_PATHS, time.perf_counter() - began)

    def _scan(self, path: bytes, request: Arrived, began: float) -> Answer:
        fields = request.fields
        refuse_local_objects(fields)
        body = message_of(fields, request.body, self._limit)
        if path == b"/checkv3":
            package = unpack_parts(fields, body)
            fields, body = package.fields + fields, package.message
            refuse_local_objects(fields)
        ruling = self.rule(body, fields, "http")
        seconds = time.perf_counter() - began
        if path in _LEGACY_PATHS:
            return json_answer(as_legacy(ruling, body, seconds))
        answer = json_answer(as_checkv2(ruling, body, seconds))
        return _in_parts(answer) if path == b"/checkv3" else answer

    def rule(self, raw: bytes, fields: Fields, protocol: str) -> Ruling:
        """Rule on a message by what the request's fields say; raises as the service does."""
        return self.rule_for(raw, envelope_of(fields, protocol))

    def rule_for(self, raw: bytes, envelope: Envelope) -> Ruling:
        """Rule for the one recipient, or by the rule for several where there are more."""
        if len(envelope.recipients) > 1:
            return self._service.rule_together(raw, envelope)
        return self._service.rule(raw, envelope)[0]

    def _failed(self, problem: Exception, is_legacy: bool, seconds: float) -> Answer:  # noqa: FBT001 - private, one caller
        log_failure(problem)
        if self.passes_on_failure:
            return json_answer(as_no_action(self.required, seconds, is_legacy=is_legacy))
        return json_answer({"error": failure_text(problem)}, 503)


def log_failure(problem: Exception) -> None:
    """Write into the log why there is no verdict; where nobody expected it, with a trace.

    A fault that every message meets would fill the disk with traces: there is one a minute.
    """
    if isinstance(problem, BusyError | UnavailableError):
        _log.warning("no verdict over HTTP: %s", problem)
        return
    now, kind = time.monotonic(), type(problem)
    is_traced = now >= _next_trace.get(kind, 0.0)
    if is_traced:
        _next_trace[kind] = now + _TRACE_SECONDS
    _log.error("no verdict over HTTP: %s", kind.__name__, exc_info=problem if is_traced else None)


def failure_text(problem: Exception) -> str:
    """Return what a client may be told of a failure."""
    return str(problem) if isinstance(problem, MtspamError) else "internal error"


def _in_parts(answer: Answer) -> Answer:
    body = (
        b"--" + _BOUNDARY + b'\r\nContent-Disposition: form-data; name="result"\r\n'
        b"Content-Type: application/json\r\n\r\n" + answer.body + b"\r\n--" + _BOUNDARY + b"--\r\n"
    )
    kind = f"multipart/mixed; boundary={_BOUNDARY.decode()}"
    return replace(answer, body=body, media_type=kind)
