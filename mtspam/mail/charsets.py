"""Charsets named by mail, by an allow-list: text in any of them becomes UTF-8."""

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Charset", "find_charset"]

# Python codecs that mail may name. Not every codec of Python is a charset of mail: idna, punycode,
# unicode_escape and their like have known quadratic cases or no business here.
ONE_BYTE = """
    latin-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 cp1254 iso8859-10
    cp874 iso8859-13 iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1255 cp1256
    cp1257 cp1258 koi8-r koi8-u cp437 cp850 cp852 cp866 mac-roman mac-cyrillic
""".split()  # noqa: SIM905 - a table to read
MANY_BYTES = """
    gb18030 big5hkscs shift_jis euc_jp iso2022_jp_2 euc_kr cp949 iso2022_kr hz utf-16 utf-16-le
    utf-16-be utf-32 utf-7 johab
""".split()  # noqa: SIM905 - a table to read

ALIASES = {
    "us-ascii": "cp1252", "ascii": "cp1252", "ansi_x3.4-1968": "cp1252", "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252", "iso_8859-1": "cp1252", "latin1": "cp1252", "l1": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "x-gbk": "gb18030",
    "gb_2312-80": "gb18030", "big5": "big5hkscs", "big5-hkscs": "big5hkscs", "cp950": "big5hkscs",
    "shift-jis": "shift_jis", "sjis": "shift_jis", "x-sjis": "shift_jis", "cp932": "shift_jis",
    "windows-31j": "shift_jis", "ms_kanji": "shift_jis", "euc-jp": "euc_jp", "eucjp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_2", "iso-2022-jp-2": "iso2022_jp_2", "csiso2022jp": "iso2022_jp_2",
    "iso-2022-kr": "iso2022_kr", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949", "ksc5601": "cp949", "windows-949": "cp949", "hz-gb-2312": "hz",
    "iso-8859-9": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874", "windows-874": "cp874",
    "koi8r": "koi8-r", "macintosh": "mac-roman", "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic", "unicode-1-1-utf-7": "utf-7", "utf7": "utf-7",
    "utf16": "utf-16", "ucs-2": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip


class Charset(NamedTuple):
    """A way to read bytes.

    Parameters
    ----------
    codec
        Python's name of it.
    table
        Code point of each byte value, shape ``(256,)``; None where characters take several bytes.
    is_ascii_superset
        Whether bytes below 128 that stand alone always mean ASCII.
    """

    codec: str
    table: NDArray[np.uint32] | None
    is_ascii_superset: bool


@cache
def _table(codec: str) -> NDArray[np.uint32]:
    points = [ord(bytes([b]).decode(codec, "replace")) for b in range(256)]
    return np.array(points, np.uint32)


@lru_cache(maxsize=256)  # bounded: the names come from strangers
def find_charset(name: bytes) -> Charset | None:
    """Return how to read text whose header names the charset `name`; None: take it as UTF-8.

    Unknown names, UTF-8 and an empty name all give None: the caller tries UTF-8 and falls back to
    Windows-1252, which is what unlabelled 8-bit mail mostly is.

    Parameters
    ----------
    name
        As the header writes it, in any case.

    Examples
    --------
    >>> find_charset(b"GB2312").codec
    'gb18030'
    >>> find_charset(b"punycode") is None
    True
    """
    word = name.decode("ascii", "replace").strip("\"' \t").lower()
    codec = ALIASES.get(word, word.replace("iso-8859-", "iso8859-").replace("windows-", "cp"))
    if codec in ONE_BYTE:
        return Charset(codec, _table(codec), is_ascii_superset=True)
    if codec in MANY_BYTES:
        stateful = codec.startswith(("iso2022", "utf", "hz"))
        return Charset(codec, None, is_ascii_superset=not stateful)
    return None
