"""Eight newsletters: honest mail that some users want and others call spam."""

from sample_mail.mime import Draft, html_part, related_texts, text
from sample_mail.people import DAYS, FIRST, TASTE
from sample_mail.slots import Dice, Slots
from sample_mail.words import Words

__all__ = ["NEWSLETTERS", "newsletter"]

_WORDS = Words.load("newsletters")
_TEASERS = _WORDS.texts("teasers")
_SLOTS: Slots = {**_WORDS.part("slots").slots(), "day": DAYS, "who": FIRST}
_NEWSLETTERS = _WORDS.part("newsletters")
NEWSLETTERS = tuple(_NEWSLETTERS)


def _plain(name: str, greeting: str, items: list[tuple[str, str]], leave: str) -> str:
    body = "\n\n".join(f"* {title.upper()}\n  {teaser}" for title, teaser in items)
    return f"{name}\n{'=' * len(name)}\n\n{greeting}\n\n{body}\n\nUnsubscribe: {leave}\n"


def _html(
    name: str, greeting: str, items: list[tuple[str, str]], domain: str, leave: str, dice: Dice
) -> str:
    colour = dice.pick(["#1a5276", "#922b21", "#117a65", "#7d6608"])
    rows = "".join(
        f'<tr><td><img src="https://img.{domain}/{dice.token(6)}.jpg" width="560"></td></tr>\n'
        f'<tr><td><h2 style="color:{colour}"><a href="https://www.{domain}/a/{dice.token(8)}">'
        f"{title}</a></h2><p>{teaser}</p></td></tr>\n"
        for title, teaser in items
    )
    why = f"You get this mail because you signed up at {domain}."
    links = (
        f'<a href="{leave}">Unsubscribe</a> | <a href="https://www.{domain}/web">In browser</a>'
    )
    return (
        '<html><body bgcolor="#f4f4f4"><table width="600" align="center">\n'
        f"<tr><td><h1>{name}</h1><p>{greeting}</p></td></tr>\n{rows}"
        f"<tr><td><small>{why} {links}</small></td></tr></table></body></html>\n"
    )


def newsletter(dice: Dice, user: str, name: str) -> Draft:
    """Write an issue of a newsletter; the user's taste says what it is to them."""
    words = _NEWSLETTERS.part(name)
    domain, subjects, all_items = (
        words.text("domain"),
        words.texts("subjects"),
        words.texts("items"),
    )
    slots = {**_SLOTS, "item": all_items}
    titles = [dice.fill(item, slots) for item in dice.some(all_items, dice.between(2, 4))]
    items = [
        (title, dice.fill(dice.fill(dice.pick(_TEASERS), {**slots, "item": title}), slots))
        for title in titles
    ]
    subject = dice.fill(dice.pick(subjects), {**slots, "item": titles[0]})
    greeting = dice.fill(
        f"{{Hello {user}|Good morning|Dear reader|Hi {user.capitalize()}}}, "
        "{here is|this is|welcome to} {your {day} issue|issue {n}{n}|our {day} selection}.",
        slots,
    )
    leave = f"https://www.{domain}/leave/{dice.token(10)}"
    html = html_part(
        _html(name, greeting, items, domain, leave, dice), encoding="quoted-printable"
    )
    return Draft(
        name=name,
        address=f"news@{domain}",
        subject=subject,
        host=f"mta{dice.between(1, 9)}.{domain}",
        content=related_texts(text(_plain(name, greeting, items, leave)), html, dice),
        label="ham" if name in TASTE[user] else "spam",
        note="newsletter",
        return_path=f"bounce-{dice.token(8)}@{domain}",
        headers=(
            ("List-Id", f"<news.{domain}>"),
            ("List-Unsubscribe", f"<{leave}>"),
            ("Precedence", "bulk"),
        ),
    )
