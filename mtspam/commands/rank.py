"""`mtspam rank`: put search results in order; its commands are loaded when they are called."""

from mtspam.commands.group import LazyGroup

__all__ = ["command"]

_SECTIONS = {
    "Commands": {
        "learn": ("mtspam.commands.rank_learn", "Take in what was shown, clicked and judged."),
        "train": ("mtspam.commands.rank_train", "Grow trees from all that was taken in."),
        "score": ("mtspam.commands.rank_score", "Score a table of candidates."),
        "explain": ("mtspam.commands.rank_explain", "Say why results stand where they stand."),
        "use": ("mtspam.commands.rank_use", "Ask another version of the trees, or list them."),
        "evaluate": (
            "mtspam.commands.rank_evaluate",
            "Compare orders on events that were held out.",
        ),
    },
}

command = LazyGroup(
    "rank",
    lazy=_SECTIONS,
    help="Put search results into a better order for each user and market.",
    short_help="Put search results in order.",
)
