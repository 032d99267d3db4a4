"""The sections of the service: identity, actions, and one for each protocol."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = [
    "ActionsSettings",
    "HttpSettings",
    "IdentitySettings",
    "LmtpSettings",
    "MilterSettings",
    "SpamdSettings",
]

_PLACES = (
    "Places to listen on, separated by blanks: HOST:PORT, [IPV6]:PORT or /PATH; none if empty."
)
_TLS_PLACES = "Places to listen on for encrypted connections; needs `tls.certificate`."
_TLS_OFF = "off: on loopback there is nobody to hide from"
_LOOPBACK = "on loopback, so that nothing is open to the world unless it is asked for"
_AS_PEERS = "the port that clients of the protocol look for"


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(Section):
    """Which addresses are one user."""

    alias_file: str = setting(
        "",
        doc="File of lines `alias: address`, one address each; none if empty.",
        reason="one person is one user over every protocol",
    )
    tag_separators: str = setting(
        "+",
        doc="What follows one of these characters in a local part makes no other user.",
        reason="the separator that all mail servers know",
    )
    default_domain: str = setting(
        "",
        doc="Domain of a name without one; if empty the name stays as it is.",
        reason="IMAP and spamc often say `ana` for ana@example.org",
    )
    groups: str = setting(
        "domain",
        doc="What a user's group is: `domain` of the address, or `none`.",
        reason="people of one organisation share much of their mail",
    )
    trusted_authserv: str = setting(
        "",
        doc="Names (authserv-id) of the servers whose Authentication-Results are believed, "
        "separated by blanks; they must remove fields in their name from mail that comes in.",
        reason="nobody's by default: without proof of the sender no allow list counts",
    )


@dataclass(frozen=True, kw_only=True)
class ActionsSettings(Section):
    """What is done with mail, by probability of spam; a limit above 1 is never reached."""

    required_points: float = setting(
        5.0,
        low=0.1,
        high=1_000.0,
        unit="points",
        doc="Points of a message right at the limit of `add_header`, as clients are shown them.",
        reason="the figure that users of spamd know",
    )
    add_header: float = setting(
        0.8,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Mark the message as spam from here on.",
        reason="the limit of the verdict spam",
    )
    rewrite_subject: float = setting(
        2.0,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Rewrite the subject from here on.",
        reason="off: it breaks signatures",
    )
    quarantine: float = setting(
        2.0,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Quarantine from here on.",
        reason="off: somebody has to look into a quarantine",
    )
    tempfail: float = setting(
        2.0,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Refuse for now from here on.",
        reason="off: it delays mail",
    )
    reject: float = setting(
        2.0,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Refuse for good from here on.",
        reason="off: nothing is lost before an admin has seen how well the filter does",
    )
    discard: float = setting(
        2.0,
        low=0.0,
        high=2.0,
        unit="probability",
        doc="Drop without a word from here on.",
        reason="off: nobody learns of a mistake",
    )
    policy_file: str = setting(
        "",
        doc="TOML file of limits and lists by group and by user; none if empty.",
        reason="what one user wants is not what all want",
    )
    together: str = setting(
        "agree",
        doc="Where a protocol has one answer for all recipients: `agree`, as far as all agree; "
        "`first`, by the first recipient; `worst`, by the one with most points.",
        reason="nobody loses mail because of another's taste",
    )
    subject_prefix: str = setting(
        "[SPAM] ", doc="Put before the subject where it is rewritten.", reason="as peers do"
    )


@dataclass(frozen=True, kw_only=True)
class SpamdSettings(Section):
    """The protocol of SpamAssassin's spamd, for spamc, Exim and Haraka."""

    listen: str = setting("127.0.0.1:1783", doc=_PLACES, reason=_LOOPBACK + "; 783 needs root")
    tls_listen: str = setting("", doc=_TLS_PLACES, reason=_TLS_OFF)
    allow_tell: bool = setting(
        default=True, doc="Take labels by TELL.", reason="how spamc -L and many plugins teach"
    )
    tell_for_everyone: bool = setting(
        default=False,
        doc="Take labels without a `User:` as the administrator's, which count for everybody.",
        reason="the protocol has no password, and only users' voices are bounded",
    )
    on_failure: str = setting(
        "error",
        doc="Answer where no verdict can be given or the message is too long: `error`, a line "
        "that says so, or `pass`, ham with 0 points. Labels always get an error.",
        reason="spamc then passes mail on unchanged, and Exim lets the admin decide",
    )
    report_reasons: int = setting(
        5,
        low=0,
        high=50,
        unit="reasons",
        doc="How many of the strongest features a report lists; 0: none, which is quicker.",
        reason="enough to understand a verdict, short enough for a header",
    )
    buffer_bytes: int = setting(
        536_870_912,
        low=1_000_000,
        high=1_099_511_627_776,
        unit="bytes",
        doc="Room of one worker for messages that are still arriving over this protocol; what "
        "finds none is turned away.",
        reason="ten of the largest messages allowed, or thousands of ordinary ones",
    )

    def __post_init__(self) -> None:
        """Check the word that has no range.

        Raises
        ------
        ConfigError
            Where it is not allowed.
        """
        super().__post_init__()
        if self.on_failure not in ("error", "pass"):
            raise ConfigError(
                f"spamd.on_failure is {self.on_failure!r}, but must be 'error' or 'pass'"
            )


@dataclass(frozen=True, kw_only=True)
class HttpSettings(Section):
    """HTTP: rspamd's endpoints, our own, health and metrics."""

    listen: str = setting("127.0.0.1:11333", doc=_PLACES, reason=_LOOPBACK + "; " + _AS_PEERS)
    tls_listen: str = setting("", doc=_TLS_PLACES, reason=_TLS_OFF)
    control: str = setting(
        "mtspam.sock",
        doc="UNIX socket for the commands of this program, relative to the state directory; who "
        "may connect to it may also teach.",
        reason="it needs no password, only the rights of a file",
    )
    password_hash: str = setting(
        "",
        doc="Hash of the password that teaching over TCP needs, as `mtspam serve --hash-password` "
        "prints it; if empty nobody may teach over TCP.",
        reason="whoever can teach can make mail disappear",
    )
    max_failures: int = setting(
        10,
        low=1,
        high=1_000_000,
        unit="attempts",
        doc="Wrong passwords from one address within a minute; it is then turned away for the "
        "rest of it.",
        reason="a person mistypes a few times, a machine that guesses does not stop",
    )
    buffer_bytes: int = setting(
        536_870_912,
        low=1_000_000,
        high=1_099_511_627_776,
        unit="bytes",
        doc="Room of one worker for messages that are still arriving over HTTP; what finds none "
        "is turned away.",
        reason="ten of the largest messages allowed, or thousands of ordinary ones",
    )
    on_failure: str = setting(
        "error",
        doc="Answer to a scan where the service cannot judge: `error`, status 503, and the mail "
        "server does what it is set to; `pass`, no action.",
        reason="only the mail server knows whether mail may wait",
    )

    def __post_init__(self) -> None:
        """Check the words that have no range.

        Raises
        ------
        ConfigError
            Where one is not allowed.
        """
        super().__post_init__()
        if self.on_failure not in ("error", "pass"):
            raise ConfigError(
                f"http.on_failure is {self.on_failure!r}, but must be 'error' or 'pass'"
            )


@dataclass(frozen=True, kw_only=True)
class MilterSettings(Section):
    """The milter protocol of Sendmail and Postfix."""

    listen: str = setting("127.0.0.1:11332", doc=_PLACES, reason=_LOOPBACK + "; " + _AS_PEERS)
    on_failure: str = setting(
        "tempfail",
        doc="Answer about a message on which the service cannot rule: `tempfail`, `accept` as it "
        "is, or `reject`.",
        reason="mail waits with who sends it and is judged later; nothing is lost",
    )
    wait_seconds: float = setting(
        20.0,
        low=0.0,
        high=280.0,
        unit="seconds",
        doc="How long a message waits for a service that cannot rule at the moment.",
        reason="longer than a restart takes; Postfix gives a filter 300 seconds",
    )
    progress_seconds: float = setting(
        5.0,
        low=0.1,
        high=200.0,
        unit="seconds",
        doc="How often the mail server is told that a message is still worked on.",
        reason="many times within what mail servers wait",
    )
    idle_seconds: float = setting(
        7_210.0,
        low=1.0,
        high=86_400.0,
        unit="seconds",
        doc="A connection over which nothing comes for so long is closed.",
        reason="what libmilter waits: a mail server keeps the connection while its own client "
        "is slow",
    )
    buffer_bytes: int = setting(
        536_870_912,
        low=1_000_000,
        high=1_099_511_627_776,
        unit="bytes",
        doc="Room of one worker for messages that are still arriving over milter; one that finds "
        "none is answered by `on_failure`.",
        reason="ten of the largest messages allowed, or thousands of ordinary ones",
    )

    def __post_init__(self) -> None:
        """Check the words that have no range.

        Raises
        ------
        ConfigError
            Where one is not allowed.
        """
        super().__post_init__()
        if self.on_failure not in ("tempfail", "accept", "reject"):
            raise ConfigError(
                f"milter.on_failure is {self.on_failure!r}, but must be 'tempfail', 'accept' or "
                "'reject'"
            )


@dataclass(frozen=True, kw_only=True)
class LmtpSettings(Section):
    """The LMTP proxy before a mailbox server: every recipient gets their own verdict."""

    listen: str = setting("", doc=_PLACES, reason="off until there is a next hop")
    next_hop: str = setting(
        "",
        doc="Mailbox server to hand mail on to: lmtp:PLACE or smtp:PLACE.",
        reason="nobody's by default",
    )
    on_failure: str = setting(
        "tempfail",
        doc="What becomes of a message that cannot be judged: `tempfail`, the mail server keeps "
        "it and tries again; `pass`, it is delivered without a verdict.",
        reason="the mail server's queue holds it for days; nothing slips through meanwhile",
    )
    max_recipients: int = setting(
        1_000,
        low=1,
        high=100_000,
        unit="recipients",
        doc="Recipients of one message; the mail server is asked to give the rest again.",
        reason="Postfix gives 50 at once",
    )
    max_message_bytes: int = setting(
        104_857_600,
        low=65_536,
        high=2_000_000_000,
        unit="bytes",
        doc="A message larger than this is refused for good.",
        reason="twice what mail servers take, so that theirs is the limit which counts",
    )
    max_held_bytes: int = setting(
        268_435_456,
        low=1_048_576,
        high=68_719_476_736,
        unit="bytes",
        doc="Bytes of messages that one worker holds while they come in; more are put off.",
        reason="memory stays bounded however many send at once",
    )
    connect_seconds: float = setting(
        10.0,
        low=0.1,
        high=300.0,
        unit="seconds",
        doc="How long the next hop may take to let us in.",
        reason="it is close by; the mail server is better off with its queue",
    )
    command_seconds: float = setting(
        60.0,
        low=0.1,
        high=3_600.0,
        unit="seconds",
        doc="How long the next hop may take to answer a command.",
        reason="time to look up a user; Postfix waits for 300 seconds",
    )
    delivery_seconds: float = setting(
        300.0,
        low=0.1,
        high=3_600.0,
        unit="seconds",
        doc="How long the next hop may take to store a message for one recipient.",
        reason="half of what Postfix gives us, so that we answer before it hangs up",
    )
