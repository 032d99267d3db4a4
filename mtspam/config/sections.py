"""The sections and their settings. How they are checked and read is in `fields` and `reading`."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting
from mtspam.errors import ConfigError

__all__ = [
    "MailSettings",
    "ModelSettings",
    "VerdictSettings",
]

_PEERS_BOUND = "far above honest mail; scoring time and memory grow with it"
_FIXED = "memory is set by settings, not by traffic"
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
        21,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="The shared level has two to this power weights for each view.",
        reason=_TABLE + "; 20 to 22 measured alike",
    )
    personal_bits: int = setting(
        22,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="All users' own weights together: two to this power for each view.",
        reason=_TABLE,
    )
    group_bits: int = setting(
        20,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="All groups' own weights together: two to this power for each view.",
        reason=_TABLE,
    )
    auxiliary_bits: int = setting(
        20,
        low=8,
        high=28,
        unit="bits",
        affects_fold=True,
        doc="The phishing and the bulk head have two to this power weights each.",
        reason=_TABLE,
    )
    shared_rate: float = setting(
        1.0,
        low=0.001,
        high=100.0,
        affects_fold=True,
        doc="Step of the shared level.",
        reason="from 0.7 to 1.5 measured alike",
    )
    group_rate: float = setting(
        0.6,
        low=0.0,
        high=100.0,
        affects_fold=True,
        doc="Step of the group level, over the shared level's accumulator.",
        reason="below the personal rate: a group speaks for more than one",
    )
    personal_rate: float = setting(
        1.0,
        low=0.0,
        high=100.0,
        affects_fold=True,
        doc="Step of the personal level, over the shared level's accumulator.",
        reason="higher serves users who disagree with all others, lower those with few labels",
    )
    identity_factor: float = setting(
        2.5,
        low=0.0,
        high=100.0,
        affects_fold=True,
        doc="How much larger the steps of group and personal level are in the identity view.",
        reason="who a message is from decides tastes sooner than its words",
    )
    settled_margin: float = setting(
        1.5,
        low=0.0,
        high=10.0,
        unit="log-odds",
        affects_fold=True,
        doc="A user's label moves their view of the sender until that alone brings a message to "
        "this score; 0: no further than any label does.",
        reason="who takes a message out of Junk expects the sender's next one elsewhere",
    )
    initial_accumulator: float = setting(
        1e-4,
        low=1e-8,
        high=100.0,
        affects_fold=True,
        doc="Sum of squared gradients that every weight starts with.",
        reason="about the square of a first gradient: a rare feature's first step is whole",
    )
    joint_share: float = setting(
        0.1,
        low=0.0,
        high=1.0,
        affects_fold=True,
        doc="How much of the other views' margins a view's own loss sees.",
        reason="0: views learn apart and repeat each other; 1: the loudest view learns alone",
    )
    largest_step: float = setting(
        10.0,
        low=0.01,
        high=1_000.0,
        unit="log-odds",
        affects_fold=True,
        doc="Length of the step that one label may make in one view of the shared level.",
        reason="one wrong label must not outweigh what many right ones said",
    )
    mixing_weight: float = setting(
        0.4,
        low=0.02,
        high=1.0,
        affects_fold=True,
        doc="Weight of each view in the combiner before it has learnt.",
        reason="views agree too often to be summed as if they were independent",
    )
    mixing_rate: float = setting(
        0.005,
        low=0.0,
        high=1.0,
        affects_fold=True,
        doc="Step of the combiner's weights.",
        reason="slow: ranking suffers when the scale of scores moves",
    )
    bias_rate: float = setting(
        0.0015,
        low=0.0,
        high=1.0,
        affects_fold=True,
        doc="Step of the biases.",
        reason="as the combiner's weights",
    )
    evidence_labels: float = setting(
        1.0,
        low=0.0,
        high=10_000.0,
        unit="labels",
        affects_fold=True,
        doc="After so many labels a user's own level counts half, in the long run whole.",
        reason="0.5 to 16 measured alike; the first label about a sender must be heard",
    )
    starter_labels: float = setting(
        1_000.0,
        low=0.0,
        high=1_000_000.0,
        unit="labels",
        affects_fold=True,
        doc="After so many labels of anybody the starter model is silent; till then it fades.",
        reason="local labels know local mail better",
    )
    noise_prior: float = setting(
        0.1,
        low=0.0001,
        high=0.4,
        unit="share",
        affects_fold=True,
        doc="Share of labels taken for mistakes before any was seen.",
        reason="careful while little is known; on clean labels it falls to nothing",
    )
    noise_rate: float = setting(
        0.01,
        low=0.0,
        high=1.0,
        affects_fold=True,
        doc="Step by which the share of mistaken labels is estimated.",
        reason="a memory of about a hundred labels",
    )
    noise_limit: float = setting(
        0.25,
        low=0.0001,
        high=0.45,
        unit="share",
        affects_fold=True,
        doc="The estimate of mistaken labels stays below this.",
        reason="past it the model would trust itself more than its users",
    )
    noise_labels: float = setting(
        300.0,
        low=1.0,
        high=1_000_000.0,
        unit="labels",
        affects_fold=True,
        doc="After so many labels of an answer, a quarter of the doubt of one shrinks its step.",
        reason="an answer that is new must not be doubted away; 100 and 1,000 measured alike",
    )
    noise_caution: float = setting(
        3.0,
        low=0.0,
        high=20.0,
        affects_fold=True,
        doc="Power of (1 - 2 x share of mistakes) by which the largest step shrinks.",
        reason="where labels are often wrong, each may say less",
    )
    replay_messages: int = setting(
        1_024,
        low=0,
        high=1_000_000,
        unit="messages",
        affects_fold=True,
        doc="Messages of each answer remembered, to be learnt again when that answer gets rare.",
        reason="a folder of spam, then one of ham: 256 left 3 % errors, 1,024 less than 1",
    )
    replay_share: float = setting(
        0.4,
        low=0.0,
        high=0.5,
        unit="share",
        affects_fold=True,
        doc="Share among the latest labels below which an answer is brought back.",
        reason="20 labels of each kind, one after the other: 25 % errors at 0.25, 9 at 0.4",
    )
    replay_memory: float = setting(
        4.0,
        low=1.0,
        high=10_000.0,
        unit="labels",
        affects_fold=True,
        doc="How many labels are the latest ones, about.",
        reason="short, so that few labels suffice: after 20 spam, 20 ham must not undo them",
    )
    auxiliary_rate: float = setting(
        0.5,
        low=0.0,
        high=100.0,
        affects_fold=True,
        doc="Step of the phishing and bulk heads.",
        reason="their labels are few and seldom wrong",
    )
    weak_weight: float = setting(
        0.25,
        low=0.0,
        high=1.0,
        affects_fold=True,
        doc="How much a plain label counts as a no to phishing or bulk.",
        reason="who says spam does not say that it is no phishing",
    )
    voice_per_day: float = setting(
        40.0,
        low=0.0,
        high=1_000_000.0,
        unit="log-odds",
        affects_fold=True,
        doc="How far one user's labels of one day may move any other user's score, at most.",
        reason="a day of honest labels stays below it once the model is in use",
    )
    young_labels: float = setting(
        2_000.0,
        low=0.0,
        high=1_000_000.0,
        unit="labels",
        affects_fold=True,
        doc="With n labels learnt, voice_per_day is multiplied by 1 + young_labels / (1 + n).",
        reason="a young model must listen harder, or it would never grow up",
    )
    max_users: int = setting(
        65_536,
        low=1,
        high=16_777_216,
        unit="users",
        affects_fold=True,
        doc="Users with labels of their own; those of later ones teach nothing.",
        reason=_FIXED,
    )
    max_groups: int = setting(
        4_096,
        low=1,
        high=1_048_576,
        unit="groups",
        affects_fold=True,
        doc="Groups with labels of their own; later ones are served by the shared level.",
        reason=_FIXED,
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
