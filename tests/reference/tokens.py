"""Plain-Python twin of mtspam.kernels.texttokens and fieldtokens: strings and patterns."""

import re

WORD = (1 << 64) - 1
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3
MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
FIELDS, TEXT, IDENTITY = range(3)
HOST = rb"[A-Za-z0-9._-]"
LETTERS = "BWIGF"  # break, word, ideograph, ignored, foreign: the classes of the fold table


def fnv(values, start=OFFSET):
    h = start
    for value in values:
        h = ((h ^ value) * PRIME) & WORD
    return h


def token(view, kind, h, start, end):
    base = ((h ^ (ord(kind) * MIX_2 & WORD)) * MIX_1) & WORD
    return base, view, kind, start, end


def site(host):
    """Where the last two labels begin, or three where the second is short."""
    labels = host.split(b".")
    n = 2 if len(labels) < 3 or len(labels[-2]) > 3 else 3
    return len(host) - len(b".".join(labels[-n:]))


def url(text, start, end):
    """Tokens of the address at `start`, and where its path begins."""
    found = re.match(rb"([A-Za-z]{0,10})(://|:)?", text[start:end])
    if found[2] == b":":
        at = start + len(found[0])
        return [token(TEXT, ":", fnv(found[1].lower()), start, at)], at
    at = start + (len(found[0]) if found[2] else 0)
    whole = re.match(rb"[A-Za-z0-9._@%-]*", text[at:end])[0]
    stop = at + len(whole)
    _, sign, host = whole.rpartition(b"@")
    begin = stop - len(host)
    out = [token(TEXT, "@", 0, at, begin)] if sign else []
    if re.fullmatch(rb"[0-9.]+", host):
        out.append(token(TEXT, "#", 0, begin, stop))
    host = host.rstrip(b".").lower()
    if host:
        end = begin + len(host)
        domain = begin + site(host)
        label = end - len(host.rpartition(b".")[2])
        out += [
            token(TEXT, "u", fnv(host), begin, end),
            token(TEXT, "d", fnv(host[domain - begin :]), domain, end),
            token(IDENTITY, "d", fnv(host[domain - begin :]), domain, end),
            token(TEXT, "l", fnv(host[label - begin :]), label, end),
        ]
    return out, stop


def letters(text, fold):
    """For each character of valid UTF-8 its class, folded code point, and byte range."""
    at = 0
    for letter in text:
        size = len(letter.encode())
        cp = ord(letter)
        kind, folded = fold_one(cp, fold)
        yield LETTERS[kind], folded, at, at + size
        at += size


def fold_one(cp, fold):
    if cp < len(fold):
        return int(fold[cp]) >> 24, int(fold[cp]) & 0xFFFFFF
    if 0x3040 <= cp < 0xA000 or 0xAC00 <= cp < 0xD7B0 or 0xF900 <= cp < 0xFB00:
        return 2, cp
    if 0xFF01 <= cp < 0xFF5F:
        kind, folded = fold_one(cp - 0xFEE0, fold)
        return 4 if kind == 1 else kind, folded
    if 0x1D400 <= cp < 0x1D6A4:
        return 4, ord("a") + (cp - 0x1D400) % 26
    if 0xFE00 <= cp < 0xFE10 or cp == 0xFEFF:
        return 3, cp
    if 0xA000 <= cp < 0xAC00 or 0xFB00 <= cp < 0xFE00 or 0xFE70 <= cp < 0xFEFF:
        return 1, cp
    return (2 if 0x1F000 <= cp < 0x1FB00 or cp >= 0x20000 else 0), cp


def running(text, fold, word_kind, pair_kind):  # noqa: PLR0915 - follows its kernel
    """Tokens of running text that begins at 0."""
    raw = text.encode()
    chars = list(letters(text, fold))
    classes = "".join(char[0] for char in chars)
    out = []
    previous = ideograph = None
    at = 0
    while at < len(chars):
        kind, cp, start, end = chars[at]
        if kind == "I":
            h = fnv([cp])
            out.append(token(TEXT, "c", h, start, end))
            if ideograph:
                out.append(token(TEXT, "C", fnv([ideograph[0]], h), ideograph[1], end))
            ideograph, previous = (cp, start), None
        if kind == "B":
            ideograph = None
        if kind in "BIG":
            at += 1
            continue
        ideograph = None
        found = re.compile("[WF][WFG]*").match(classes, at)
        after = chars[found.end()][2] if found.end() < len(chars) else len(raw)
        kept = re.match("[WFG]*[WF]", found[0])[0]
        letters_of = [chars[at + i] for i, c in enumerate(kept) if c != "G"]
        folded = [char[1] for char in letters_of]
        end = letters_of[-1][3]
        is_url = len(folded) <= 6 and raw[after : after + 3] == b"://"
        is_www = len(folded) == 3 and raw[start : start + 3].lower() == b"www"
        if is_url or (is_www and raw[after : after + 1] == b"." and after + 2 < len(raw)):
            more, stop = url(raw, start, len(raw))
            out += more
            stop = max(stop, after + 1)
            at = next((i for i, c in enumerate(chars) if c[2] >= stop), len(chars))
            previous = None
            continue
        at = found.end()
        if len(folded) > 24:
            out.append(token(TEXT, "L", min(len(folded) // 8, 16), start, end))
            previous = None
            continue
        digits = all(48 <= c <= 57 for c in folded)
        h = len(folded) if digits and len(folded) > 4 else fnv(folded)
        out.append(token(TEXT, "N" if digits and len(folded) > 4 else word_kind, h, start, end))
        has_ascii = any(c == "W" and 97 <= cp <= 122 for c, cp, *_ in letters_of)
        if ("F" in kept and has_ascii) or "G" in kept:
            out.append(token(TEXT, "x", 0, start, end))
        if previous and pair_kind:
            pair = (previous[0] * MIX_1 & WORD) ^ h
            out.append(token(TEXT, pair_kind, pair, previous[1], end))
        previous = (h, start)
    return out


def words(text, field):
    out = []
    for found in re.finditer(rb"[A-Za-z0-9._\x80-\xff-][A-Za-z0-9._/\x80-\xff-]*", text):
        word = found[0].rstrip(b".-")
        if 0 < len(word) <= 40 and len(out) < 48:
            place = found.start(), found.start() + len(word)
            out.append(token(FIELDS, "f", fnv(word.lower(), OFFSET ^ field), *place))
    return out


def addresses(text, field):
    out = []
    at = 0
    for _ in range(8):
        sign = text.find(b"@", at)
        if sign < 0:
            break
        name = re.search(rb"[^\x00-\x20<,:\"]*\Z", text[max(0, sign - 64) : sign])[0]
        stop = sign + 1 + len(re.match(HOST + rb"*", text[sign + 1 :])[0])
        start = sign - len(name)
        domain = sign + 1 + site(text[sign + 1 : stop])
        for view in (FIELDS, IDENTITY):
            whole = fnv(text[start:stop].lower(), OFFSET ^ field)
            out.append(token(view, "a", whole, start, stop))
            part = fnv(text[domain:stop].lower(), OFFSET ^ field)
            out.append(token(view, "A", part, domain, stop))
        at = stop
    return out


def recipients(text, field):
    n = len(re.findall(rb"@" + HOST + rb"*", text))
    size = n if n < 3 else 3 + min(n, 64) // 8
    return [token(FIELDS, "n", fnv([], (OFFSET ^ field) * PRIME & WORD) ^ size, 0, len(text))]


def received(text):
    out = []
    n = 0
    for found in re.finditer(HOST + rb"+", text.partition(b";")[0]):
        host, start = found[0], found.start()
        if b"." not in host or len(host) > 80 or n == 48:
            continue
        n += 1
        if re.search(rb"[A-Za-z]", host):
            host = host.rstrip(b".").lower()
            domain = site(host)
            out.append(token(FIELDS, "r", fnv(host), start, start + len(host)))
            part = fnv(host[domain:])
            out.append(token(FIELDS, "R", part, start + domain, start + len(host)))
        elif host.count(b".") == 3:
            labels = host.split(b".")
            for size in (3, 2):
                net = b".".join(labels[:size])
                out.append(token(FIELDS, "4", fnv(net), start, start + len(net)))
    return out
