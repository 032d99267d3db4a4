"""The section of the ranking of search results: trees, personal part, guard, exploration."""

from dataclasses import dataclass

from mtspam.config.fields import Section, setting

__all__ = ["RankingSettings"]


@dataclass(frozen=True, kw_only=True)
class RankingSettings(Section):
    """How search results are ranked."""

    rounds: int = setting(
        500,
        low=1,
        high=20_000,
        unit="trees",
        doc="Shared trees that are grown at most.",
        reason="early stopping takes what helps of them; serving 500 takes a millisecond",
    )
    learning_rate: float = setting(
        0.05,
        low=0.001,
        high=1.0,
        doc="How far one tree goes.",
        reason="with so many trees, slower brings hardly anything",
    )
    leaves: int = setting(
        31,
        low=2,
        high=1_024,
        unit="leaves",
        doc="Leaves of a shared tree.",
        reason="LightGBM's own default",
    )
    min_leaf_rows: int = setting(
        50,
        low=1,
        high=1_000_000,
        unit="rows",
        doc="Candidates that a leaf needs.",
        reason="clicks are few and noisy: a leaf of 50 has some of them",
    )
    column_share: float = setting(
        0.8,
        low=0.01,
        high=1.0,
        doc="Share of the features that one tree may look at.",
        reason="features of history are much alike; leaving some out keeps trees apart",
    )
    l2: float = setting(
        1.0,
        low=0.0,
        high=10_000.0,
        doc="Squared penalty on what a leaf says.",
        reason="small leaves say less",
    )
    unbiased: bool = setting(
        default=False,
        doc="Learn how far a click is owed to the place alone, and leave that out.",
        reason="what is shown first is clicked first; off, because where hosts rank well, place "
        "is evidence, too",
    )
    position_regularization: float = setting(
        1.0,
        low=0.0,
        high=10_000.0,
        doc="Squared penalty on what a place is owed, where `unbiased` is on.",
        reason="keeps rare places near the others",
    )
    increasing: str = setting(
        "",
        doc="Features, separated by blanks, of which more never ranks lower.",
        reason="none by default: features are the host's",
    )
    decreasing: str = setting(
        "",
        doc="Features, separated by blanks, of which more never ranks higher.",
        reason="none by default: features are the host's",
    )
    validation_share: float = setting(
        0.15,
        low=0.0,
        high=0.9,
        doc="Share of the queries, the latest, that tell when to stop growing; 0: never stop.",
        reason="what comes is more like what came last",
    )
    patience: int = setting(
        40,
        low=1,
        high=10_000,
        unit="trees",
        doc="Trees without gain after which growing stops.",
        reason="at this learning rate a gain shows within some tens of trees",
    )
    refit_rows: int = setting(
        300_000,
        low=0,
        high=1_000_000_000,
        unit="rows",
        doc="Up to so many rows, the trees are grown again from all, the latest included.",
        reason="the latest queries tell most of what comes; with many rows it is not worth twice "
        "the time",
    )
    market_rounds: int = setting(
        60,
        low=0,
        high=10_000,
        unit="trees",
        doc="Trees of each market on top of the shared ones, at most; 0: none.",
        reason="a market is a correction of what all have in common",
    )
    market_leaves: int = setting(
        8,
        low=2,
        high=1_024,
        unit="leaves",
        doc="Leaves of a market's tree.",
        reason="markets are small",
    )
    market_queries: int = setting(
        30,
        low=1,
        high=1_000_000,
        unit="queries",
        doc="Queries that a market needs for trees of its own.",
        reason="40 were enough to gain in the literature's setting of shared and own trees",
    )
    click_kinds: str = setting(
        "click",
        doc="Interactions that count as a click, separated by blanks.",
        reason="Metarank's and UBI's word",
    )
    conversion_kinds: str = setting(
        "conversion purchase",
        doc="Interactions that count as a conversion, separated by blanks.",
        reason="what shops send",
    )
    conversion_share: float = setting(
        0.0,
        low=0.0,
        high=1.0,
        doc="How far results are ranked by expected conversion rather than by expected click.",
        reason="clicks are what everybody has; shops want more",
    )
    threads: int = setting(
        0,
        low=0,
        high=1_024,
        unit="threads",
        doc="Threads that grow trees; 0: one for each core. The same number gives the same bits.",
        reason="training is alone on the machine, or somebody has set it",
    )
    seed: int = setting(
        1,
        low=0,
        high=2_147_483_647,
        doc="Of all that is drawn in training and exploration.",
        reason="the same events and settings give the same model",
    )
    residual_bits: int = setting(
        20,
        low=8,
        high=28,
        unit="bits",
        doc="Size of each table of the personal part, as a power of two.",
        reason="4 MB a table: some hundred thousand users with some clicks each",
    )
    spam_score: bool = setting(
        default=True,
        doc="Whether the log-odds that a document's text is spam, by the starter model, are a "
        "feature of it, `spam_score`, in halves and where it is above 0; texts of fewer than 64 "
        "characters have none.",
        reason="pages made to be found are written like spam, and trees learn how far to mind; a "
        "text costs some hundredths of a millisecond, once",
    )
    personal_rate: float = setting(
        0.3,
        low=0.0,
        high=10.0,
        doc="How far a click moves what is kept for its user.",
        reason="a few clicks are to show; the guard knows how far to trust it",
    )
    market_rate: float = setting(
        0.05,
        low=0.0,
        high=10.0,
        doc="How far a click moves what is kept for its market and for everybody.",
        reason="many clicks come together there",
    )
    below_click: float = setting(
        0.5,
        low=0.0,
        high=1.0,
        doc="What a result below a click counts that was not clicked; one above it counts 1.",
        reason="who clicks has seen what stands above, and perhaps not what stands below",
    )
    residual_trees: int = setting(
        16,
        low=0,
        high=1_000,
        unit="trees",
        doc="First trees whose leaves the personal part learns about.",
        reason="the first trees part the candidates most; each one costs time",
    )
    pending_rankings: int = setting(
        2_000,
        low=1,
        high=10_000_000,
        unit="rankings",
        doc="Rankings shown that wait for clicks; a click on an older one only counts as history.",
        reason="some tens of kilobytes each; clicks come within minutes",
    )
    replay_rankings: int = setting(
        5_000,
        low=0,
        high=100_000_000,
        unit="rankings",
        doc="Latest rankings whose clicks the personal part learns when a state is opened: at "
        "most so many, at least half of them.",
        reason="what is older is in the trees and in the history; a click takes a millisecond",
    )
    residual_decay: float = setting(
        0.0001,
        low=0.0,
        high=0.5,
        doc="Share of a weight that each step on it takes away.",
        reason="taste changes; chance wears off",
    )
    guard_rate: float = setting(
        0.1,
        low=0.0,
        high=1.0,
        doc="How far a click moves the weights of host order, trees, history and personal part.",
        reason="there are few weights and many clicks",
    )
    guard_rankings: int = setting(
        2_000,
        low=0,
        high=100_000_000,
        unit="rankings",
        doc="Rankings from which training learns how far to trust the trees: the latest ones of "
        "those that `validation_share` sets aside; 0: the host's order stands until clicks after "
        "training speak for the trees.",
        reason="enough for some ten weights",
    )
    explore_places: int = setting(
        0,
        low=0,
        high=100,
        unit="places",
        doc="First places within which two neighbours may be swapped to learn from it; 0: none.",
        reason="off: who asks for a ranking gets the best one known",
    )
    explore_rate: float = setting(
        0.05,
        low=0.0,
        high=0.5,
        doc="How often such a pair of neighbours is swapped.",
        reason="rarely enough that nobody minds, often enough to learn from thousands of rankings",
    )
