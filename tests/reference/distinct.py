"""Plain-Python twin of mtspam.kernels.distinct: dicts that keep the order of insertion."""

WORD = (1 << 64) - 1
N_TOKEN_VIEWS = 3


def windows(data: bytes) -> list[int]:
    found = {int.from_bytes(data[i : i + 4], "little"): None for i in range(len(data) - 3)}
    return list(found)


def tokens(found, room):
    """For each view the distinct (base, kind, start, end), and whether one was full."""
    views = [{} for _ in range(N_TOKEN_VIEWS)]
    full = False
    for base, view, kind, start, end in found:
        if base in views[view]:
            continue
        if len(views[view]) == room:
            full = True
        else:
            views[view][base] = (base, kind, start, end)
    return [list(view.values()) for view in views], full


def seal(base: int, seed: int) -> int:
    h = ((base ^ seed) * 0x9E3779B97F4A7C15) & WORD
    h = ((h ^ (h >> 32)) * 0xD6E8FEB86659FD93) & WORD
    return (h ^ (h >> 32)) & 0xFFFFFFFF
