"""Discussions on mailing lists, in threads."""

from sample_mail.mime import Draft, text
from sample_mail.people import DAYS, FIRST, person
from sample_mail.slots import Dice
from sample_mail.words import Words

__all__ = ["discussion"]

_WORDS = Words.load("lists")
_GENERAL = _WORDS.texts("general")
_LISTS = tuple(name for name in _WORDS if name != "general")


def discussion(dice: Dice, user: str) -> Draft:
    """Write to one of the lists that all users read."""
    tag = dice.pick(_LISTS)
    words = _WORDS.part(tag)
    host = "lists.example.net"
    # A few threads a list, so that subjects come back as they do in life.
    topic = Dice(f"{tag} thread {dice.below(12)}")
    slots = {"thing": words.texts("thing"), "who": FIRST, "day": DAYS}
    subject = topic.fill(topic.pick(words.texts("subjects")), slots)
    own = words.texts("sentences")
    sentences = (*own, *own, *_GENERAL)
    lines = [dice.fill(line, slots) for line in dice.some(sentences, dice.between(3, 7))]
    quoted = [f"> {dice.fill(line, slots)}" for line in dice.some(sentences, dice.between(0, 3))]
    name, address = person(dice)
    if quoted:
        quoted.insert(0, f"{dice.pick(FIRST)} wrote on {dice.pick(DAYS)}:")
    footer = f"\n_____________________\n{tag} mailing list\nhttps://{host}/{tag}\n"
    body = "\n".join([*quoted, "", *lines, "", name.split()[0]]) + footer
    earlier = f"<{topic.token(12)}@{host}>"
    return Draft(
        name=name,
        address=address,
        label="ham",
        note="list",
        content=text(body),
        host=host,
        subject=("Re: " if quoted else "") + f"[{tag}] {subject}",
        return_path=f"{tag}-bounces+{user}=example.org@{host}",
        headers=(
            *((("In-Reply-To", earlier), ("References", earlier)) if quoted else ()),
            ("List-Id", f"<{tag}.{host}>"),
            ("List-Unsubscribe", f"<mailto:{tag}-leave@{host}>"),
            ("Precedence", "list"),
        ),
    )
