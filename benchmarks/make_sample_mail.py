"""Make the mail of `mtspam demo`: about 600 made-up messages to six users, the same every time.

    python benchmarks/make_sample_mail.py [--output data/sample_mail.ndjson.gz] [--seed 1]

What the file holds, and that nobody's mail went into it, is written in data/README.md.
"""

import argparse
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from sample_mail.foreign import foreign_letter, foreign_spam
from sample_mail.ham import personal, work
from sample_mail.lists import discussion
from sample_mail.mime import Draft, render
from sample_mail.newsletters import NEWSLETTERS, newsletter
from sample_mail.people import USERS
from sample_mail.phishing import phishing
from sample_mail.shops import circular, notice, order
from sample_mail.slots import Dice
from sample_mail.spam import spam

OUTPUT = Path(__file__).resolve().parent.parent / "data" / "sample_mail.ndjson.gz"
SEED = 1
START = 1_736_150_400  # Monday, 6 January 2025, 08:00 UTC
SPACING_SECONDS = 7_200
# Messages of a kind to each user, and issues of each newsletter.
COUNTS: dict[Callable[[Dice, str], Draft], int] = {
    personal: 8,
    work: 8,
    foreign_letter: 6,
    discussion: 10,
    order: 4,
    notice: 3,
    circular: 3,
    spam: 15,
    foreign_spam: 4,
    phishing: 7,
}
N_ISSUES = 5


def drafts(seed: int) -> Iterator[tuple[str, Draft]]:
    """Yield each message's receiver and its draft."""
    for user in USERS:
        for write, count in COUNTS.items():
            for n in range(count):
                yield user, write(Dice(f"{seed} {user} {write.__name__} {n}"), user)
        for name in NEWSLETTERS:
            for n in range(N_ISSUES):
                yield user, newsletter(Dice(f"{seed} {user} {name} {n}"), user, name)


def records(seed: int) -> Iterator[dict[str, str | int]]:
    """Yield the rows of the file, in the order of their times."""
    dice = Dice(f"{seed} order")
    rest = list(drafts(seed))
    time = START
    for number, (user, draft) in enumerate(dice.some(rest, len(rest))):
        time += dice.between(60, 2 * SPACING_SECONDS)
        raw = render(draft, user, time, Dice(f"{seed} render {number}"))
        yield {
            "time": time,
            "user": user,
            "label": draft.label,
            "note": draft.note,
            "raw": raw.decode("ascii"),
        }


def content(seed: int) -> bytes:
    """Give the file's content, unpacked."""
    lines = (json.dumps(record, separators=(",", ":")) for record in records(seed))
    return "".join(f"{line}\n" for line in lines).encode()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    # Without name and time in its header, the same content gives the same file.
    packed = gzip.compress(content(arguments.seed), compresslevel=9, mtime=0)
    arguments.output.write_bytes(packed)
    print(f"{arguments.output}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()
