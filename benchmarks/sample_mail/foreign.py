"""Mail that is not in English, in the charsets that such mail still comes in."""

from sample_mail.mime import Draft, html_part, text
from sample_mail.people import person
from sample_mail.slots import Dice
from sample_mail.spam import spammer_domain
from sample_mail.words import Words

__all__ = ["foreign_letter", "foreign_spam"]

_WORDS = Words.load("foreign")
_OF_USER = {"ana": "es", "ben": "de", "chloe": "fr", "dmitri": "ru", "emi": "ja", "farid": "ar"}


def foreign_letter(dice: Dice, user: str) -> Draft:
    """Write to a user in their first language, now and then in Chinese."""
    language = _WORDS.part("zh" if dice.chance(0.12) else _OF_USER[user])
    slots = language.part("slots").slots()
    subject, first = (dice.fill(part, slots) for part in dice.pick(language.rows("letters")))
    second = dice.fill(dice.pick(language.rows("letters"))[1], slots)
    charset = dice.pick(language.texts("charsets"))
    encoding = dice.pick(["base64", "quoted-printable"])
    _, address = person(dice)
    return Draft(
        name=dice.pick(language.texts("names")),
        address=address,
        subject=subject,
        charset=charset,
        content=text(f"{first}\n\n{second}\n", charset=charset, encoding=encoding),
        label="ham",
        note="personal",
        host=f"out1.{address.rpartition('@')[2]}",
    )


def foreign_spam(dice: Dice, user: str) -> Draft:
    """Write spam in the user's language, or in one that they cannot read."""
    name = _OF_USER[user] if dice.chance(0.5) else dice.pick(tuple(_WORDS))
    language = _WORDS.part(name)
    slots = language.part("slots").slots()
    subject, words = (dice.fill(part, slots) for part in dice.pick(language.rows("spam")))
    charset, domain = dice.pick(language.texts("charsets")), spammer_domain(dice)
    link = f"http://{domain}/{dice.token(7)}"
    anchor = f'<a href="{link}">{subject}</a>'
    page = f"<html><body><font size=5>{words}</font><br>{anchor}</body></html>\n"
    encoding = dice.pick(["base64", "quoted-printable"])
    content = (
        html_part(page, charset=charset, encoding=encoding)
        if dice.chance(0.6)
        else text(f"{words}\n{link}\n", charset=charset, encoding=encoding)
    )
    return Draft(
        name=dice.pick(language.texts("names")),
        address=f"{dice.token(6)}@{domain}",
        subject=subject,
        charset=charset,
        content=content,
        label="spam",
        note="spam",
        host=f"mail.{domain}",
        passes=dice.chance(0.4),
    )
