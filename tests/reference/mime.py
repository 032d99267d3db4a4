"""Plain-Python twin of mtspam.kernels.mime: lines and lists instead of positions and tables."""

import re
from dataclasses import dataclass

DEFECTS = ["header-line", "fields", "parts", "depth", "no-boundary", "unclosed", "repeated"]
NAME = re.compile(rb"([^\x00-\x20\x7f:]+)[ \t]*:(.*)", re.DOTALL)


@dataclass
class Part:
    depth: int
    parent: int
    start: int
    end: int
    kind: str = "plain"
    encoding: str = "none"
    charset: bytes = b""
    file: bytes = b""
    boundary: bytes = b""
    children: int = 0
    seen: frozenset = frozenset()


def parameters(value):
    """Each ``name=value`` behind a semicolon; of a quoted value what is between the quotes."""
    while (at := value.find(b";")) >= 0:
        value = value[at + 1 :].lstrip(b" \t\r\n")
        found = re.match(rb"([^\x00-\x20=;*]*)[^=;]*=[ \t\r\n]*(\"?)", value)
        if not found:
            continue
        value = value[found.end() :]
        form = rb"(?:\\.|[^\"\\])*\\?" if found[2] else rb"[^\x00-\x20;]*"
        got = re.match(form, value, re.DOTALL)[0]
        value = value[len(got) :]
        yield found[1].lower(), got


def note(part, name, value):  # noqa: C901, PLR0912 - follows its kernel
    """Take in a Content-* field; True where it comes again."""
    value = value.lstrip(b" \t\r\n")
    if name in part.seen:
        return True
    if name == b"content-transfer-encoding":
        part.seen |= {name}
        word = value.lower()
        if len(word) < 3:
            return False
        if word.startswith(b"ba"):
            part.encoding = "base64"
        elif word.startswith(b"q"):
            part.encoding = "quoted"
        elif word.startswith(b"u") or re.match(rb"x.u", word, re.DOTALL):
            part.encoding = "uu"
        return False
    if name == b"content-type":
        part.seen |= {name}
        if slash := re.match(rb"([^\x00-\x20/;]*)/([^\x00-\x20;]*)", value.lower()):
            major, minor = slash.groups()
            if major == b"text":
                part.kind = {b"plain": "plain", b"html": "html"}.get(minor, "text")
            elif major == b"message":
                part.kind = "message" if minor in {b"rfc822", b"global"} else "text"
            else:
                part.kind = "multipart" if major == b"multipart" else "other"
    for key, got in parameters(value):
        if key == b"boundary" and not part.boundary:
            part.boundary = got[:250]
        elif key == b"charset" and not part.charset:
            part.charset = got[:40]
        elif key in {b"name", b"filename"} and not part.file:
            part.file = got[:200]
    return False


def find_delimiter(line, opened):
    """The innermost open part whose boundary fills the line, else the innermost that begins it."""
    matches = [part for part in reversed(opened) if line.startswith(b"--" + part.boundary)]
    for part in matches:
        rest = line[2 + len(part.boundary) :]
        rest = rest.removeprefix(b"--")
        if not rest or rest[0] <= 32:
            return part
    return matches[0] if matches else None


def split(  # noqa: C901, PLR0912, PLR0915 - follows its kernel
    raw, *, max_fields=1000, max_parts=1000, max_header=10**6, max_depth=16
):
    """Fields as (part, name, value), parts, names of defects."""
    eol = b"\n" if b"\n" in raw else b"\r"
    lines = re.findall(rb"[^%b]*%b|[^%b]+$" % (eol, eol, eol), raw)
    fields, parts, defects, opened = [], [], set(), []
    state = {"at": 0, "part": None}

    def begin(parent):
        if len(parts) == max_parts:
            defects.add("parts")
            return False
        number = parts.index(parent) if parent else -1
        part = Part(parent.depth + 1 if parent else 0, number, len(raw), len(raw))
        if parent:
            parent.children += 1
        parts.append(part)
        state.update(part=part, header=True, header_start=state["at"])
        return True

    def end_header():
        part = state["part"]
        part.start = state["at"]
        state["header"] = False
        if part.kind == "multipart":
            if not part.boundary:
                defects.add("no-boundary")
            elif part.depth >= max_depth:
                defects.add("depth")
                part.kind = "text"
            else:
                opened.append(part)
        elif part.kind == "message":
            if part.encoding == "none" and part.depth < max_depth:
                return begin(part)
            if part.encoding == "none":
                defects.add("depth")
            part.kind = "text"
        return True

    if raw.startswith(b"From "):
        state["at"] += len(lines.pop(0))
    going = begin(None)
    while going and lines:
        line = lines.pop(0)
        here, state["at"] = state["at"], state["at"] + len(line)
        bare = line.removesuffix(eol)
        bare = bare.removesuffix(b"\r")
        owner = find_delimiter(bare, opened) if bare.startswith(b"--") and len(bare) > 2 else None
        if owner:
            part = state["part"]
            if part:
                if state["header"]:
                    part.start = part.end = here
                else:
                    part.end = part.start + len(
                        re.sub(rb"(\r?\n|\r)\Z", b"", raw[part.start : here])
                    )
            closing = bare[2 + len(owner.boundary) :].startswith(b"--")
            del opened[opened.index(owner) + (not closing) :]
            if closing:
                state.update(part=None, header=False)
            else:
                going = begin(owner)
            continue
        if not state["header"]:
            continue
        found = NAME.match(bare)
        if not found:
            if bare:
                defects.add("header-line")
                state["at"] = here
                if here == state["header_start"] and bare[:1] in {b">", b" ", b"\t"}:
                    state["at"] = state["header_start"] = here + len(line)
                    continue
                lines.insert(0, line)
            going = end_header()
            continue
        while lines and lines[0][:1] in {b" ", b"\t"}:
            line += lines.pop(0)
        state["at"] = here + len(line)
        value = line.removesuffix(eol)
        value = value[found.start(2) :].removesuffix(b"\r")
        name = found[1].lower()
        content = {b"content-type", b"content-transfer-encoding", b"content-disposition"}
        if name in content and note(state["part"], name, value):
            defects.add("repeated")
        end = here + found.start(2) + len(value)
        if len(fields) == max_fields or end - state["header_start"] > max_header:
            defects.add("fields")
        else:
            fields.append((parts.index(state["part"]), name, value))
    for part in parts:
        if part.kind == "multipart" and not part.children:
            part.kind = "plain"
            defects.add("no-boundary")
    if opened and "parts" not in defects:
        defects.add("unclosed")
    return fields, parts, defects
