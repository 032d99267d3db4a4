"""Phishing: mail that looks like the notices of `shops`, with links that lead elsewhere."""

from sample_mail.mime import Draft, attachment, html_part, mixed, related_texts, text
from sample_mail.people import COLLEAGUES, DAYS, FIRST
from sample_mail.shops import BRANDS
from sample_mail.slots import Dice, Slots
from sample_mail.spam import spammer_domain
from sample_mail.words import Words

__all__ = ["phishing"]

_WORDS = Words.load("phishing")
_LURES, _CHIEF = _WORDS.rows("lures"), _WORDS.rows("chief")
_SLOTS: Slots = {
    **_WORDS.part("slots").slots(),
    "code": Words.load("shops").part("slots").texts("code"),
    "day": DAYS,
    "who": FIRST,
}


def _chief(dice: Dice, user: str) -> Draft:
    """Pretend to be a colleague who writes from elsewhere."""
    name, real = dice.pick(COLLEAGUES)
    subject, words = (dice.fill(part, _SLOTS) for part in dice.pick(_CHIEF))
    domain = dice.pick(["webmail.example.net", spammer_domain(dice), "harbour-w0rks.example"])
    letter = f"{dice.pick(['Hi', 'Hello', 'Dear'])} {user.capitalize()},\n\n{words}\n\n{name}\n"
    content = text(letter + dice.pick(["", "Sent from my phone\n", "-- \nHarbour Works\n"]))
    if "attached" in words:
        form = attachment("form.htm", "text/html", f"<form>{dice.token(60)}</form>".encode())
        content = mixed((content, form), dice)
    return Draft(
        name=name,
        address=f"{dice.pick(['office', 'chief', real.partition('@')[0]])}@{domain}",
        subject=subject,
        content=content,
        label="phishing",
        note="phishing",
        host=f"out.{domain}",
        headers=(("Reply-To", f"{name.split()[0].lower()}{dice.between(1, 99)}@postbox.example"),),
        passes=dice.chance(0.6),
    )


def phishing(dice: Dice, user: str) -> Draft:
    """Pretend to be a firm, or now and then a colleague."""
    if dice.chance(0.2):
        return _chief(dice, user)
    brand, *template = dice.pick(_LURES)
    real, false = BRANDS[brand], spammer_domain(dice)
    subject, words = (dice.fill(part, _SLOTS) for part in template)
    target = dice.pick([
        f"http://{real}.{false}/{dice.token(6)}", f"https://{false}/{real}/login",
        f"http://192.0.2.{dice.between(1, 254)}/{dice.token(5)}", f"https://{real}@{false}/",
    ])  # fmt: skip
    shown = dice.pick([f"https://www.{real}/", f"www.{real}/login", f"https://{real}/account"])
    hello = dice.pick([f"Dear {user}@example.org", "Dear customer", f"Dear {user.capitalize()}"])
    html = (
        f'<html><body><table width="600"><tr><td><img src="https://www.{real}/logo.png"'
        f' alt="{brand}"></td></tr><tr><td><p>{hello},</p><p>{words}</p>'
        f'<p><a href="{target}">{shown}</a></p>'
        f"<p><small>{brand}, {dice.pick(['safety', 'service', 'customer'])} department</small></p>"
        "</td></tr></table></body></html>\n"
    )
    content = html_part(html, encoding=dice.pick(["base64", "quoted-printable", ""]))
    if dice.chance(0.4):
        content = related_texts(text(f"{hello},\n\n{words}\n\n{shown}\n"), content, dice)
    address = dice.pick(
        [f"no-reply@{real}", f"service@{false}", f"{real.partition('.')[0]}@{false}"]
    )
    return Draft(
        name=dice.pick([brand, f"{brand} Service"]),
        address=address,
        subject=subject,
        content=content,
        label="phishing",
        note="phishing",
        host=dice.pick([f"mail.{false}", f"vps{dice.between(1, 99)}.example.net"]),
        passes=not address.endswith(real) and dice.chance(0.6),
    )
