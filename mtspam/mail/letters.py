"""Letters as a reader takes them: case folded, accents dropped, look-alikes mapped to ASCII."""

import unicodedata
from functools import cache
from html.entities import html5, name2codepoint

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels.mime import fnv64
from mtspam.kernels.texttokens import CLASS_BREAK, CLASS_FOREIGN, CLASS_IGNORED, CLASS_WORD

__all__ = ["entity_table", "fold_table"]

FOLD_SIZE = 0x2800  # code points folded by table: alphabets, punctuation, symbols

# Letters of other alphabets that look like a Latin one, small letters (Unicode's confusables
# list, Technical Standard 39, cut down to what fools a reader of mail).
LOOK_ALIKES = {
    "a": "аαɑ", "b": "Ьƅ", "c": "сϲⅽ", "d": "ԁⅾ", "e": "еεҽ℮", "g": "ɡց", "h": "һհ", "i": "іιıⅰ",
    "j": "јϳ", "k": "кκ", "l": "ӏⅼ", "m": "мⅿ", "n": "пηո", "o": "оοօ", "p": "рρ", "q": "ԛզ",
    "r": "г", "s": "ѕ", "t": "тτ", "u": "υս", "v": "νѵⅴ", "w": "ѡԝω", "x": "хχⅹ", "y": "уγү",
    "z": "ᴢ", "f": "ғ",
}  # fmt: skip

IGNORED = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u200b\u200c\u200d"
IGNORED += "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067"
IGNORED += "\u2068\u2069"


@cache
def fold_table() -> NDArray[np.uint32]:
    """Return the class (top byte) and folded code point of every code point below its length."""
    table = np.zeros(FOLD_SIZE, np.uint32)
    look_alikes = {letter: latin for latin, letters in LOOK_ALIKES.items() for letter in letters}
    for cp in range(FOLD_SIZE):
        table[cp] = _entry(chr(cp), look_alikes)
    return table


def _entry(letter: str, look_alikes: dict[str, str]) -> int:
    """Class and folded code point of one letter."""
    if letter in IGNORED or unicodedata.combining(letter):
        return CLASS_IGNORED << 24 | ord(letter)
    small = letter.lower()[0]
    latin = look_alikes.get(letter) or look_alikes.get(small)
    if latin:
        return CLASS_FOREIGN << 24 | ord(latin)
    base = unicodedata.normalize("NFKD", small)[0] if ord(letter) > 127 else small  # noqa: PLR2004 - ASCII
    if not (base.isalnum() or letter == "$"):
        return CLASS_BREAK << 24 | ord(letter)
    foreign = ord(letter) > 127 and ord(base) < 128 and not letter.isalpha()  # noqa: PLR2004 - ASCII
    return (CLASS_FOREIGN if foreign else CLASS_WORD) << 24 | ord(base)


@cache
def entity_table() -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return hashes of the names of HTML character references, rising, and their code points."""
    names = dict(name2codepoint)
    names |= {n[:-1]: ord(c) for n, c in html5.items() if len(c) == 1 and n.endswith(";")}
    # Names differ by case (&Eacute; &eacute;), so the hash must not fold it.
    by_hash = {_hash(name.encode()): cp for name, cp in names.items() if len(name) <= 10}  # noqa: PLR2004 - as in kernels/html.py
    hashes = np.array(sorted(by_hash), np.int64)
    return hashes, np.array([by_hash[int(h)] for h in hashes], np.int32)


def _hash(name: bytes) -> int:
    """FNV-1a that keeps case, else as :func:`mtspam.kernels.mime.fnv64`."""
    if name.islower():
        return fnv64(name)
    h = 0xCBF29CE484222325
    for byte in name:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h - (1 << 64) if h >= 1 << 63 else h
