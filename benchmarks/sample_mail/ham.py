"""Letters between people, at home and at work."""

from sample_mail.mime import Draft, Part, attachment, html_part, mixed, related_texts, text
from sample_mail.people import COLLEAGUES, DAYS, FIRST, FRIENDS
from sample_mail.slots import Dice, Slots
from sample_mail.words import Words

__all__ = ["personal", "work"]

_WORDS = Words.load("ham")
_PERSONAL, _WORK, _FILES = (_WORDS.rows(key) for key in ("personal", "work", "files"))
_SLOTS: Slots = {**_WORDS.part("slots").slots(), "day": DAYS, "who": FIRST}


def _quoted(dice: Dice, slots: Slots) -> str:
    day = dice.fill("{day}", slots)
    lines = [dice.fill(dice.pick(_PERSONAL)[1], slots)[:70] for _ in range(dice.between(1, 3))]
    return f"\n\nOn {day} you wrote:\n" + "\n".join(f"> {line}" for line in lines)


def _letter(body: str, dice: Dice, share_of_html: float) -> Part:
    plain = text(body + "\n")
    if not dice.chance(share_of_html):
        return plain
    paragraphs = "".join(f"<p>{line}</p>\n" for line in body.split("\n\n"))
    font = dice.pick(["<div dir=ltr>", "<body>", '<div style="font-family:Calibri">'])
    return related_texts(plain, html_part(f"<html>{font}{paragraphs}</html>\n"), dice)


def _with_file(content: Part, dice: Dice) -> Part:
    name, content_type = dice.pick(_FILES)
    data = dice.token(dice.between(40, 200)).encode()
    return mixed((content, attachment(dice.fill(name, {}), content_type, data)), dice)


def personal(dice: Dice, user: str) -> Draft:
    """Write as one of the user's friends."""
    name, address = dice.pick(FRIENDS[user])
    slots = {**_SLOTS, "to": user.capitalize()}
    subject, body = (dice.fill(part, slots) for part in dice.pick(_PERSONAL))
    asides = [dice.fill(line, slots) for line in dice.some(_SLOTS["aside"], 4)]
    more = "  ".join([line for line in asides if line and line[:12] not in body][:2])
    letter = dice.fill("{hello},\n\n", slots) + f"{body}\n\n{more}\n\n"
    letter += dice.fill("{bye},\n", slots) + name.split()[0]
    is_reply = dice.chance(0.35)
    content = _letter(letter + (_quoted(dice, slots) if is_reply else ""), dice, 0.4)
    if dice.chance(0.12):
        content = _with_file(content, dice)
    domain = address.rpartition("@")[2]
    earlier = f"<{dice.token(14)}@mx.example.org>"
    return Draft(
        name=name,
        address=address,
        content=content,
        label="ham",
        note="personal",
        subject=f"Re: {subject.removeprefix('Re: ')}" if is_reply else subject,
        host=f"out{dice.between(1, 4)}.{domain}",
        headers=(("In-Reply-To", earlier), ("References", earlier)) if is_reply else (),
        passes=dice.chance(0.9),
    )


def work(dice: Dice, user: str) -> Draft:
    """Write as one of the colleagues."""
    name, address = dice.pick(COLLEAGUES)
    slots = {**_SLOTS, "to": user.capitalize()}
    subject, body = (dice.fill(part, slots) for part in dice.pick(_WORK))
    letter = dice.fill("{hello},\n\n", slots) + body + dice.fill(" {aside}\n\n{bye}\n", slots)
    letter += f"{name}\n-- \n{dice.pick(['Harbour Works', 'Planning', 'IT desk', 'Accounts'])}"
    content = _letter(letter, dice, 0.5)
    if "attached" in letter or dice.chance(0.1):
        content = _with_file(content, dice)
    return Draft(
        name=name,
        address=address,
        subject=subject,
        content=content,
        label="ham",
        note="work",
        host=f"mail.{address.rpartition('@')[2]}",
        headers=(("X-Mailer", dice.pick(["Harbour Mail 7.2", "Quill 115"])),),
    )
