"""The section of the service's processes: how many, as whom, within which limits."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = ["ServeSettings"]

_LARGEST_MODE = 0o777
_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class ServeSettings(Section):
    """The processes of `mtspam serve` and their limits."""

    workers: int = setting(
        0,
        low=0,
        high=256,
        unit="processes",
        doc="Processes that judge mail; 0: one for each core.",
        reason="judging is all computing",
    )
    user: str = setting(
        "",
        doc="User to run as, given up to once all sockets are open; if empty, whoever starts it.",
        reason="a service that reads strangers' mail should not be root",
    )
    group: str = setting(
        "",
        doc="Group to run as; if empty, the main group of `user`.",
        reason="mail servers in this group may use the UNIX sockets",
    )
    socket_mode: str = setting(
        "0660",
        doc="Mode of UNIX sockets, in octal.",
        reason="who is in the service's group may ask it",
    )
    max_connections: int = setting(
        1_000,
        low=1,
        high=100_000,
        unit="connections",
        doc="Connections that one worker holds open, over all protocols; more are turned away.",
        reason="far above what a mail server opens; memory stays bounded",
    )
    idle_seconds: float = setting(
        300.0,
        low=1.0,
        high=86_400.0,
        unit="seconds",
        doc="A connection that sends or takes nothing for so long is closed.",
        reason="the time that SMTP gives a client",
    )
    grace_seconds: float = setting(
        10.0,
        low=0.0,
        high=3_600.0,
        unit="seconds",
        doc="How long a worker that is asked to stop may finish what it has begun.",
        reason="judging takes milliseconds; who needs longer is stuck",
    )
    max_queued_labels: int = setting(
        1_000,
        low=1,
        high=1_000_000,
        unit="labels",
        doc="Labels of one worker that wait for the writer; more are refused at once.",
        reason="some seconds of the writer's work, and about 20 MB",
    )
    label_seconds: float = setting(
        10.0,
        low=0.1,
        high=3_600.0,
        unit="seconds",
        doc="How long a label may take to reach the disk before who gave it is told to try again.",
        reason="time for a new writer to take over; mail clients wait about as long",
    )
    forget_seconds: float = setting(
        300.0,
        low=1.0,
        high=3_600.0,
        unit="seconds",
        doc="How long who wants a user forgotten waits for the model without them, at most. After "
        "it they are told that it is still being folded; the events are off the disk by then.",
        reason="folding a million labels takes about as long",
    )
    snapshot_seconds: float = setting(
        300.0,
        low=1.0,
        high=86_400.0,
        unit="seconds",
        doc="How often the model is written out while it changes, at least.",
        reason="a writer that starts again has at most so much of the journal to learn again",
    )
    fold_share: float = setting(
        0.25,
        low=0.01,
        high=1.0,
        unit="share of a core",
        doc="How much of its time the writer may fold while labels are changed or taken back.",
        reason="the first of them is folded at once; many in a row must not keep a core busy",
    )
    stuck_seconds: float = setting(
        60.0,
        low=1.0,
        high=3_600.0,
        unit="seconds",
        doc="A worker that gives no sign of life for so long is replaced.",
        reason="the longest message takes less than a second",
    )
    log_level: str = setting(
        "info",
        doc="What is logged: `debug`, `info` (a line for each verdict), `warning` or `error`.",
        reason="who asks why a message went where it went looks here first",
    )
    recent_bytes: int = setting(
        67_108_864,
        low=0,
        high=68_719_476_736,
        unit="bytes",
        doc="Room that each worker has for the examples it judged lately, to learn them by id.",
        reason="about 3,700 messages of ordinary size; the oldest make room",
    )

    def __post_init__(self) -> None:
        """Check the mode and the level."""
        super().__post_init__()
        if self.log_level not in _LOG_LEVELS:
            raise ConfigError(
                f"serve.log_level is {self.log_level!r}; it must be one of "
                + ", ".join(_LOG_LEVELS)
            )
        if not 0 <= self.mode <= _LARGEST_MODE:
            raise ConfigError(
                f"serve.socket_mode is {self.socket_mode!r}; it must be octal, such as 0660"
            )

    @property
    def mode(self) -> int:
        """The mode of UNIX sockets as a number, -1 where it is none."""
        digits = self.socket_mode
        return int(digits, 8) if digits and set(digits) <= set("01234567") else -1
