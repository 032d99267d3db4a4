"""The section of behaviour history: how much is kept, how it fades, how it is smoothed."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting

__all__ = ["HistorySettings"]


@dataclass(frozen=True, kw_only=True)
class HistorySettings(Section):
    """What is remembered of what people were shown and did."""

    items: int = setting(
        65_536,
        low=16,
        high=16_777_216,
        unit="documents",
        doc="Documents whose fields are kept; beyond, the one seen longest ago gives way.",
        reason="about 700 bytes each, 46 MB when full",
    )
    users: int = setting(
        65_536,
        low=16,
        high=16_777_216,
        unit="users",
        doc="Users whose latest documents are kept; beyond, who came longest ago gives way.",
        reason="about 4 kB each where all of it is in use",
    )
    counter_bits: int = setting(
        20,
        low=8,
        high=28,
        unit="bits",
        doc="Size of the table of counters, as a power of two.",
        reason="32 bytes each; the least used gives way",
    )
    pair_bits: int = setting(
        21,
        low=8,
        high=28,
        unit="bits",
        doc="Size of the table of documents that users took together, as a power of two.",
        reason="12 bytes each; the rarest pair gives way",
    )
    half_life_days: float = setting(
        90.0,
        low=0.01,
        high=36_500.0,
        unit="days",
        doc="After so long a click counts half.",
        reason="seasons pass, one week does not",
    )
    smoothing: float = setting(
        10.0,
        low=0.1,
        high=10_000.0,
        unit="impressions",
        doc="How many impressions the level above is worth in a rate.",
        reason="as many as make a rate of one in five tell more than its prior",
    )
    affinity_variance: float = setting(
        0.04,
        low=0.0,
        high=10.0,
        doc="How much users differ in what they think of one field of a document.",
        reason="best on rankings of films among .02, .04 and .08",
    )
    affinity_noise: float = setting(
        0.12,
        low=0.001,
        high=10.0,
        doc="How much chance there is in one click.",
        reason="the variance of a click that one in seven gets",
    )
    factor_size: int = setting(
        64,
        low=1,
        high=1_024,
        unit="numbers",
        doc="Length of the two vectors of a document that foresee what is taken with what.",
        reason="512 bytes a document; 16 and 32 foresaw less, 128 not more",
    )
    factor_repeats: int = setting(
        16,
        low=0,
        high=1_000,
        unit="users",
        doc="Users who are drawn at each click so that the vectors learn from them once more.",
        reason="some microseconds; without, one pass over the clicks learns too little",
    )
    factor_rate: float = setting(
        0.05,
        low=0.0,
        high=1.0,
        doc="How far one step moves the vectors.",
        reason="with so many repeats, .03 to .1 are alike",
    )
    factor_decay: float = setting(
        0.002,
        low=0.0,
        high=1.0,
        doc="How far what a step touches shrinks, in units of `factor_rate`.",
        reason=".01 is no better",
    )
    position_prior: float = setting(
        50.0,
        low=1.0,
        high=1_000_000.0,
        unit="clicks",
        doc="Clicks expected at a place before what is seen there outweighs that all are alike.",
        reason="a few hundred rankings show a position bias, a few do not",
    )
