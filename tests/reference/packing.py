"""Plain-Python twin of mtspam.kernels.packing."""

VERSION = 1
FACTOR = 61
MODULUS = 2**57


def pack(views: list[list[int]]) -> bytes:
    check = len(views)
    for view in views:
        check = (check * FACTOR + len(view)) % MODULUS
    body = b""
    for view in views:
        codes, gaps = [], []
        before = -1
        for number in view:
            gap = number - before - 1
            before = number
            n_bytes = max(1, (gap.bit_length() + 7) // 8)
            codes.append(n_bytes - 1)
            gaps.append(gap.to_bytes(n_bytes, "little"))
            check = (check * FACTOR + gap + (n_bytes - 1) * 2**32) % MODULUS
        while len(codes) % 4:
            codes.append(0)
        body += bytes(
            a + 4 * b + 16 * c + 64 * d
            for a, b, c, d in zip(codes[::4], codes[1::4], codes[2::4], codes[3::4], strict=True)
        )
        body += b"".join(gaps)
    folded = (check ^ (check // 2**25)) % 2**32
    head = bytes([VERSION, len(views)]) + folded.to_bytes(4, "little")
    return head + b"".join(len(view).to_bytes(4, "little") for view in views) + body


def unpack(data: bytes) -> list[list[int]]:
    """Raise ValueError unless `data` is what `pack` makes of some views."""
    if len(data) < 6 or data[0] != VERSION or len(data) < 6 + 4 * data[1]:
        raise ValueError("head")
    counts = [int.from_bytes(data[6 + 4 * v : 10 + 4 * v], "little") for v in range(data[1])]
    if sum(counts) > len(data):
        raise ValueError("counts")
    at = 6 + 4 * len(counts)
    views = []
    for n in counts:
        control = data[at : at + (n + 3) // 4]
        at += (n + 3) // 4
        view: list[int] = []
        for i in range(n):
            if i // 4 >= len(control):
                raise ValueError("short")
            size = (control[i // 4] // 4 ** (i % 4)) % 4 + 1
            gap = int.from_bytes(data[at : at + size], "little")
            at += size
            view.append((view[-1] if view else -1) + gap + 1)
        views.append(view)
    if any(number >= 2**32 for view in views for number in view) or pack(views) != data:
        raise ValueError("body")
    return views
