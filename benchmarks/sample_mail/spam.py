"""Spam in the shapes that filters meet: look-alike letters, hidden text, images, stolen words."""

from sample_mail.mime import Draft, Part, attachment, html_part, mixed, related_texts, text
from sample_mail.people import DAYS, FIRST, LAST, person
from sample_mail.slots import Dice, Slots
from sample_mail.words import Words

__all__ = ["spam", "spammer_domain"]

_WORDS = Words.load("spam")
_OFFERS, _STOLEN = _WORDS.rows("offers"), _WORDS.texts("stolen")
_LOOKALIKES = str.maketrans("aeopcxiAEOPCHT", "аеорсхіАЕОРСНТ")
_DIGITS = str.maketrans("aeiot", "43107")
_DOMAIN_WORDS = _WORDS.texts("domain_words")
_SLOTS: Slots = {"day": DAYS, "who": FIRST, "last": LAST}


def spammer_domain(dice: Dice) -> str:
    """Make up a domain for today."""
    ending = dice.pick([".example", ".invalid", ".test", ".example.net"])
    first, second = dice.pick(_DOMAIN_WORDS), dice.pick(_DOMAIN_WORDS)
    return f"{first}{dice.pick(['', '-'])}{second}{dice.between(1, 999)}{ending}"


def _disguised(words: str, dice: Dice) -> str:
    """Write some words so that people read them and naive filters do not."""

    def one(word: str) -> str:
        way = dice.below(10)
        if len(word) < 4 or way > 4:
            return word
        if way == 0:
            return word.translate(_DIGITS)
        if way == 1:
            return "\u200b".join((word[:2], word[2:]))
        if way == 2:
            return ".".join(word)
        return word.translate(_LOOKALIKES)

    return " ".join(map(one, words.split(" ")))


def _stolen(dice: Dice) -> str:
    return " ".join(dice.fill(line, _SLOTS) for line in dice.some(_STOLEN, 3))


def _hidden(words: str, dice: Dice) -> str:
    style = dice.pick([
        "font-size:0px", "color:#ffffff;background:#fff", "display:none", "visibility:hidden",
        "position:absolute;left:-9999px", "line-height:0;font-size:1px;color:white",
    ])  # fmt: skip
    return f'<div style="{style}">{words}</div>'


def _page(words: str, link: str, dice: Dice) -> str:
    button = dice.fill("{CLICK HERE|Order now|Yes, I want it|Claim|More|Visit us}", {})
    hidden = _hidden(_stolen(dice), dice) if dice.chance(0.5) else ""
    comment = f"<!-- {dice.token(12)} -->" if dice.chance(0.3) else ""
    return (
        f"<html><body>{hidden}<center><font size=5 color=red>{words}</font>{comment}<br>"
        f'<a href="{link}"><b>{button}</b></a></center></body></html>\n'
    )


def _content(words: str, link: str, dice: Dice) -> Part:
    shape = dice.below(6)
    if shape == 0:
        tail = f"\n\n{_stolen(dice)}\n" if dice.chance(0.4) else "\n"
        return text(f"{words}\n\n{link}{tail}")
    if shape == 1:
        picture = f'<html><body><a href="{link}"><img src="{link}/o.gif"></a></body></html>\n'
        return html_part(picture + _hidden(_stolen(dice), dice))
    if shape == 2:
        page = html_part(_page(words, link, dice), encoding="base64")
        return related_texts(text(dice.pick(["\n", _stolen(dice) + "\n"])), page, dice)
    if shape == 3:
        return related_texts(text(f"{words}\n{link}\n"), html_part(_page(words, link, dice)), dice)
    encoding = dice.pick(["base64", "quoted-printable"])
    return html_part(_page(words, link, dice), encoding=encoding)


def spam(dice: Dice, user: str) -> Draft:
    """Write spam to a user who never asked for it."""
    domain = spammer_domain(dice)
    subject, words = (dice.fill(part, _SLOTS) for part in dice.pick(_OFFERS))
    has_file = "attached" in words
    if dice.chance(0.4):
        subject, words = _disguised(subject, dice), _disguised(words, dice)
    subject = dice.pick(["", "", "", "Re: ", "Fwd: ", f"{user}, ", "RE:RE: "]) + subject
    subject = subject.upper() if dice.chance(0.12) else subject
    content = _content(
        words, f"http://{dice.pick(['www.', 'go.', ''])}{domain}/{dice.token(7)}", dice
    )
    if has_file:
        file = dice.pick(["invoice.zip", "order.pdf.exe", "scan.html", "Payment.iso"])
        content = mixed(
            (content, attachment(file, "application/octet-stream", dice.token(90).encode())), dice
        )
    name, address = person(dice, (domain, domain, "webmail.example.net", "postbox.example"))
    listed = (("List-Unsubscribe", f"<http://{domain}/u>"), ("Precedence", "bulk"))
    return Draft(
        name=dice.pick([name, name, "", "Customer Care", subject[:20].strip()]),
        address=address,
        subject=subject,
        content=content,
        label="spam",
        note="spam",
        host=dice.pick(
            [f"mail.{domain}", f"host{dice.between(1, 254)}.dyn.example.net", "localhost"]
        ),
        passes=dice.chance(0.55),
        headers=listed
        if dice.chance(0.2)
        else (("X-Mailer", dice.pick(["Bulk 9", "Quill 115"])),),
    )
