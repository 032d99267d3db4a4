"""What machines send to customers and citizens: orders, notices, circulars."""

from sample_mail.mime import Draft, attachment, html_part, mixed, related_texts, text
from sample_mail.people import DAYS, FIRST
from sample_mail.slots import Dice, Slots
from sample_mail.words import Words

__all__ = ["BRANDS", "circular", "notice", "order"]

_WORDS = Words.load("shops")
_ORDERS, _NOTICES, _CIRCULARS = (_WORDS.rows(key) for key in ("orders", "notices", "circulars"))
# Made-up firms whose mail is real here and forged by phishers, and their domains.
BRANDS = {brand: _WORDS.part("brands").text(brand) for brand in _WORDS.part("brands")}
_SLOTS: Slots = {**_WORDS.part("slots").slots(), "day": DAYS, "who": FIRST}


def _body(brand: str, words: str, user: str, domain: str, dice: Dice) -> tuple[str, str]:
    hello = dice.pick([f"Dear {user.capitalize()}", f"Hello {user}", "Dear customer"])
    plain = f"{hello},\n\n{words}\n\n{brand}\nhttps://www.{domain}/\n"
    html = (
        f'<html><body><table width="600"><tr><td><img src="https://www.{domain}/logo.png"'
        f' alt="{brand}"></td></tr><tr><td><p>{hello},</p><p>{words}</p><p><a href="https://www.{domain}/">'
        f"www.{domain}</a></p></td></tr></table></body></html>\n"
    )
    return plain, html


def _machine(dice: Dice, user: str, brand: str, template: tuple[str, str], note: str) -> Draft:
    domain = BRANDS[brand]
    subject, words = (dice.fill(part, _SLOTS) for part in template)
    plain, html = _body(brand, words, user, domain, dice)
    content = related_texts(text(plain), html_part(html, encoding="quoted-printable"), dice)
    if "attached" in words:
        data = dice.token(150).encode()
        content = mixed((content, attachment("invoice.pdf", "application/pdf", data)), dice)
    return Draft(
        name=brand,
        address=f"no-reply@{domain}",
        subject=subject,
        content=content,
        label="ham",
        note=note,
        host=f"out{dice.between(1, 5)}.{domain}",
        headers=(("Auto-Submitted", "auto-generated"),),
    )


def order(dice: Dice, user: str) -> Draft:
    """Confirm an order, a delivery or a bill."""
    brand, *template = dice.pick(_ORDERS)
    return _machine(dice, user, brand, (template[0], template[1]), "order")


def notice(dice: Dice, user: str) -> Draft:
    """Tell about an account, as phishers also do, but without asking for anything."""
    brand, *template = dice.pick(_NOTICES)
    return _machine(dice, user, brand, (template[0], template[1]), "notice")


def circular(dice: Dice, user: str) -> Draft:
    """Write to everybody at once: bulk, which says nothing about being spam."""
    sender, domain, *template = dice.pick(_CIRCULARS)
    subject, words = (dice.fill(part, _SLOTS) for part in template)
    plain, html = _body(sender, words, user, domain, dice)
    return Draft(
        name=sender,
        address=f"info@{domain}",
        subject=subject,
        label="bulk",
        note="circular",
        content=related_texts(text(plain), html_part(html), dice),
        host=f"bulk.{domain}",
        return_path=f"bounce-{dice.token(6)}@{domain}",
        headers=(("Precedence", "bulk"),),
    )
