"""Who gets the mail, who writes it, and who likes which newsletter."""

from sample_mail.slots import Dice
from sample_mail.words import Words

__all__ = ["COLLEAGUES", "DAYS", "FIRST", "FRIENDS", "LAST", "TASTE", "USERS", "person"]

_WORDS = Words.load("people")
FIRST, LAST, DAYS = (_WORDS.texts(key) for key in ("first", "last", "days"))
TASTE = {user: frozenset(wanted) for user, wanted in _WORDS.part("taste").slots().items()}
USERS = tuple(TASTE)
_FREE_HOSTS = ("postbox.example", "webmail.example.net", "letters.example.com")


def person(dice: Dice, domains: tuple[str, ...] = _FREE_HOSTS) -> tuple[str, str]:
    """Make up somebody: a name and an address."""
    first, last = dice.pick(FIRST), dice.pick(LAST)
    local = dice.pick([f"{first}.{last}", f"{first[0]}{last}", f"{first}{dice.between(1, 99)}"])
    return f"{first} {last}", f"{local.lower()}@{dice.pick(domains)}"


# The same few people write to a user again and again.
FRIENDS = {user: tuple(person(Dice(f"{user} friend {n}")) for n in range(5)) for user in USERS}
COLLEAGUES = tuple(
    person(Dice(f"colleague {n}"), ("harbour-works.example", "example.org")) for n in range(10)
)
