"""The sections and their settings. How they are checked and read is in `fields` and `reading`."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = [
    "JournalSettings",
    "MailSettings",
    "ModelSettings",
    "VerdictSettings",
]

_PEERS_BOUND = "far above honest mail; scoring time and memory grow with it"
_TABLE = "a power of two, so that a hash is cut to a bucket by a mask"


@dataclass(frozen=True, kw_only=True)
class MailSettings(Section):
    """How much of a message is read. Reaching a limit is a defect of the message, not an error."""

    max_message_bytes: int = setting(
        50_000_000,
        low=1_000,
        high=2_000_000_000,
        unit="bytes",
        doc="Bytes of a message that are read; the rest is left unread.",
        reason="the limit that mail servers and rspamd use",
    )
    max_header_bytes: int = setting(
        65_536,
        low=1_000,
        high=10_000_000,
        unit="bytes",
        doc="Bytes of each header block that are looked at.",
        reason=_PEERS_BOUND,
    )
    max_text_bytes: int = setting(
        65_536,
        low=1_000,
        high=10_000_000,
        unit="bytes",
        doc="Bytes of decoded text that are cut into tokens, over all parts together.",
        reason="one cap over the whole message, so that many parts do not multiply the work",
    )
    max_parts: int = setting(
        256,
        low=1,
        high=10_000,
        unit="parts",
        doc="MIME parts that are looked at.",
        reason=_PEERS_BOUND,
    )
    max_depth: int = setting(
        16,
        low=1,
        high=64,
        unit="levels",
        doc="Levels of nested multiparts and attached messages that are entered.",
        reason=_PEERS_BOUND,
    )
    head_window_bytes: int = setting(
        3_000,
        low=4,
        high=1_000_000,
        unit="bytes",
        doc="First raw bytes of the message, whose 4-byte windows are the head view.",
        reason="the prefix that the literature on byte 4-grams for spam uses",
    )
    body_window_bytes: int = setting(
        3_000,
        low=4,
        high=1_000_000,
        unit="bytes",
        doc="First raw bytes after the header, whose 4-byte windows are the body view.",
        reason="as the head view, and blind to what a relay wrote into the header",
    )


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Section):
    """Sizes and rates of the learner. Another value makes another model of the same journal."""

    shared_bits: int = setting(
        22,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="A shared table has two to this power weights.",
        reason=_TABLE,
    )
    personal_bits: int = setting(
        22,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="A personal table, which all users share, has two to this power weights.",
        reason=_TABLE,
    )
    group_bits: int = setting(
        20,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="A group table, which all groups share, has two to this power weights.",
        reason=_TABLE,
    )
    aux_bits: int = setting(
        18,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="A table of the phishing and bulk heads has two to this power weights.",
        reason=_TABLE,
    )
    shared_rate: float = setting(
        2.0,
        low=0.001,
        high=100.0,
        affects_fold=True,
        doc="Step of the shared level.",
        reason="higher is better on a corpus met in time order, lower when labels are few",
    )
    group_rate: float = setting(
        2.0,
        low=0.001,
        high=100.0,
        affects_fold=True,
        doc="Step of the group level, over the shared level's accumulator.",
        reason="as the personal rate",
    )
    personal_rate: float = setting(
        2.0,
        low=0.001,
        high=100.0,
        affects_fold=True,
        doc="Step of the personal level, over the shared level's accumulator.",
        reason="higher serves users with many labels, lower those with few",
    )
    initial_accumulator: float = setting(
        0.1,
        low=1e-8,
        high=100.0,
        affects_fold=True,
        doc="Sum of squared gradients that every weight starts with.",
        reason="keeps the first step of a rare feature finite",
    )
    voice_per_day: float = setting(
        6.0,
        low=0.0,
        high=1_000_000.0,
        unit="full labels",
        affects_fold=True,
        doc="Weight that the labels of one user and day have together in the shared level.",
        reason="a diligent user is heard in full, a flood of labels is not",
    )
    max_users: int = setting(
        65_536,
        low=1,
        high=16_777_216,
        unit="users",
        affects_fold=True,
        doc="Users with labels of their own; later ones are served by the levels above.",
        reason="memory is set by settings, not by traffic",
    )
    max_groups: int = setting(
        4_096,
        low=1,
        high=1_048_576,
        unit="groups",
        affects_fold=True,
        doc="Groups with labels of their own; later ones are served by the shared level.",
        reason="memory is set by settings, not by traffic",
    )


@dataclass(frozen=True, kw_only=True)
class VerdictSettings(Section):
    """Where a probability of spam becomes a verdict."""

    ham_below: float = setting(
        0.2,
        low=0.0,
        high=1.0,
        unit="probability",
        doc="The verdict is ham below this.",
        reason="with spam_above: a verdict is given at odds of four to one or better",
    )
    spam_threshold: float = setting(
        0.5,
        low=0.0,
        high=1.0,
        unit="probability",
        doc="What is spam where only two answers are asked for, as in error figures.",
        reason="the likelier answer",
    )
    spam_above: float = setting(
        0.8,
        low=0.0,
        high=1.0,
        unit="probability",
        doc="The verdict is spam at this and above; between the two it is unsure.",
        reason="with ham_below: a verdict is given at odds of four to one or better",
    )

    def __post_init__(self) -> None:
        """Check that the three lines lie in order."""
        super().__post_init__()
        if not self.ham_below <= self.spam_threshold <= self.spam_above:
            raise ConfigError(
                f"verdict.ham_below {self.ham_below}, spam_threshold {self.spam_threshold} "
                f"and spam_above {self.spam_above} must not fall"
            )


@dataclass(frozen=True, kw_only=True)
class JournalSettings(Section):
    """How the journal is kept on disk."""

    page_bytes: int = setting(
        16_384,
        low=512,
        high=65_536,
        unit="bytes",
        doc="Page size of a new journal, a power of two; an existing one keeps its own.",
        reason="an event of 4,000 hashes is about 12 kB and so lies in one page, not in a chain",
    )
    busy_timeout_seconds: float = setting(
        10.0,
        low=0.0,
        high=3_600.0,
        unit="seconds",
        doc="How long to wait for another writer before giving up.",
        reason="a transaction of labels takes milliseconds; who waits this long is stuck",
    )

    def __post_init__(self) -> None:
        """Check that the page size is one that SQLite takes."""
        super().__post_init__()
        if self.page_bytes.bit_count() != 1:
            raise ConfigError(f"journal.page_bytes is {self.page_bytes}, but must be a power of 2")
