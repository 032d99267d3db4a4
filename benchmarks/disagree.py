"""Users who disagree: the same list is wanted mail to one and spam to the other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from headers import list_of
from numpy.typing import NDArray
from streams import Message

__all__ = ["BY_LIST", "BY_USER", "DISAGREEMENT_RULE", "disagree", "perfect_memory", "share_out"]

BY_USER = "by user"
BY_LIST = "by list"

DISAGREEMENT_RULE = (
    "messages are dealt to the users by seed; disputed is ham that came through a list or a "
    "newsletter (List-Id, List-Unsubscribe, Precedence list or bulk, or hard ham); lists with "
    "fewer than 3 messages a user are one list together; all other mail keeps its label"
)

_TASTE = {
    BY_USER: "half of the users call all disputed mail spam, the other half ham",
    BY_LIST: "for each list another half of the users calls its mail spam",
}


def share_out(stream: Sequence[Message], n_users: int, seed: int) -> tuple[Message, ...]:
    """Deal each message to one of the users, uniformly by seed."""
    dealt = np.random.default_rng(seed).integers(0, n_users, len(stream))
    return tuple(
        replace(message, user=f"user{int(user):02d}")
        for message, user in zip(stream, dealt, strict=True)
    )


def _lists(stream: Sequence[Message], n_users: int) -> list[str | None]:
    names = [
        None if m.is_spam else list_of(m.raw, is_newsletter=m.path.startswith("hard-ham"))
        for m in stream
    ]
    sizes = Counter(names)
    return [name if name is None or sizes[name] >= 3 * n_users else "(small)" for name in names]


def _dislikes(lists: Sequence[str], users: Sequence[str], mode: str, seed: int) -> set[str]:
    """Draw for each list the half of the users that call it spam, as ``list user`` keys."""
    rng = np.random.default_rng(seed + 1)
    half = rng.permutation(len(users))[: len(users) // 2]
    drawn: set[str] = set()
    for name in lists:
        chosen = half if mode == BY_USER else rng.permutation(len(users))[: len(users) // 2]
        drawn.update(f"{name} {users[int(i)]}" for i in chosen)
    return drawn


def disagree(
    stream: Sequence[Message], mode: str, n_users: int, seed: int
) -> tuple[tuple[Message, ...], str]:
    """Deal a stream to users of opposite tastes; parts *disputed* and *undisputed*.

    Parameters
    ----------
    stream
        Messages with the labels that everybody agrees on.
    mode
        `BY_USER`: half of the users want no list mail at all. `BY_LIST`: each list divides the
        users anew.

    Returns
    -------
    tuple
        The stream and the rule in words.
    """
    dealt = share_out(stream, n_users, seed)
    lists = _lists(dealt, n_users)
    users = sorted({message.user for message in dealt if message.user is not None})
    hated = _dislikes(sorted({name for name in lists if name}), users, mode, seed)
    labelled = []
    for message, name in zip(dealt, lists, strict=True):
        is_spam = message.is_spam or f"{name} {message.user}" in hated
        part = "undisputed" if name is None else "disputed"
        labelled.append(
            replace(message, is_spam=is_spam, said_spam=is_spam, part=part, list_name=name)
        )
    return tuple(labelled), f"{DISAGREEMENT_RULE}; {_TASTE[mode]}; {n_users} users"


def perfect_memory(stream: Sequence[Message]) -> NDArray[np.float64]:
    """Score the disputed mail as somebody would who is told the lists and forgets no label.

    The user's last word on the list decides; before that the balance of their words on other
    lists. What is left is chance that no filter can know: each user's first word on each list.
    Undisputed mail scores 0.
    """
    last: dict[tuple[str | None, str], float] = {}
    balance: Counter[str | None] = Counter()
    scores = np.zeros(len(stream))
    for i, message in enumerate(stream):
        if message.list_name is None:
            continue
        key = (message.user, message.list_name)
        scores[i] = last.get(key, float(np.tanh(balance[message.user])))
        word = 1 if message.said_spam else -1
        last[key] = 2.0 * word
        balance[message.user] += word
    return scores
