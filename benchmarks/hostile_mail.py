"""Read hostile mail: what is made to stop a parser, and thousands of messages broken at random.

``python benchmarks/hostile_mail.py [--n 10000] [--data FOLDER]`` prints exceptions, the slowest
message and the memory taken, and ends with 1 where a bound is broken. With ``--peers`` it also
times the standard library and fast-mail-parser on the attacks, each in a process of its own.
"""

import argparse
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from corpora import DEFAULT_DATA, MissingDataError, read_collection, read_sample
from hostile import ATTACKS, mutated

from mtspam.config import MailSettings
from mtspam.mail.extractor import Extractor
from mtspam.mail.tokens import read_tokens

MAX_SECONDS, MAX_MB = 1.0, 100.0
PEER_SECONDS = 20
PEERS = {
    "email.policy.default": "import email, email.policy\n"
    "m = email.message_from_bytes(raw, policy=email.policy.default)\n"
    "[(str(p.items()), p.get_content_type()) for p in m.walk()]",
    "fast-mail-parser": "import fast_mail_parser\nfast_mail_parser.parse_email(raw)",
}


def messages(data: Path, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield the attacks, the files of the hostile folder and `n` broken messages, with names."""
    yield from ATTACKS.items()
    yield "50 MB in one line", b"x" * 50_000_000
    yield (
        "50 MB of boundaries",
        b"Content-Type: multipart/x; boundary=b\n\n" + b"--b\n" * 12_500_000,
    )
    for path in sorted((data / "hostile").rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
    sources = [message.raw for message in read_sample()]
    try:
        sources += [message.raw for message in read_collection(data, "spamassassin")]
    except MissingDataError:
        print("without the SpamAssassin corpus: only the sample is broken")
    rng = random.Random(0)
    for number in range(n):
        yield f"broken {number}", mutated(rng.choice(sources), rng)


def peak_mb() -> float:
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_peers() -> None:
    """Print how long others take for each attack."""
    for name, raw in ATTACKS.items():
        for peer, code in PEERS.items():
            script = f"import sys, time\nraw = sys.stdin.buffer.read()\nt = time.time()\n{code}\n"
            script += "print(f'{1000 * (time.time() - t):.0f} ms')"
            try:
                done = subprocess.run(
                    [sys.executable, "-c", script],
                    input=raw,
                    capture_output=True,
                    timeout=PEER_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                said = f"more than {PEER_SECONDS} s"
            else:
                said = done.stdout.decode().strip() or f"ends with {done.returncode}"
                last = done.stderr.decode().strip().splitlines()[-1:]
                said += f" ({last[0][:60]})" if done.returncode and last else ""
            print(f"{name:32} {peer:22} {said}")


def main() -> int:
    """Run the benchmark; the exit code says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="broken messages")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder of the corpora")
    parser.add_argument("--peers", action="store_true", help="time other parsers on the attacks")
    options = parser.parse_args()
    if options.peers:
        time_peers()
    extractor = Extractor(MailSettings(), seed=1)
    extractor.example(b"Content-Type: text/html; charset=koi8-r\n\n<p>\xff</p>")
    n_read = n_errors = 0
    slowest = (0.0, "")
    largest = 0.0
    for name, raw in messages(options.data, options.n):
        base = peak_mb()
        start = time.perf_counter()
        try:
            extractor.example(raw)
        except Exception as error:  # noqa: BLE001 - that there is none is what is measured
            n_errors += 1
            print(f"{name}: {error!r}")
        slowest = max(slowest, (time.perf_counter() - start, name))
        largest = max(largest, peak_mb() - base)
        read_tokens(extractor)
        n_read += 1
    print(f"{n_read} messages, {n_errors} exceptions")
    print(f"slowest: {1000 * slowest[0]:.1f} ms ({slowest[1]})")
    print(f"memory above base: {largest:.1f} MB")
    return int(n_errors > 0 or slowest[0] > MAX_SECONDS or largest > MAX_MB)


if __name__ == "__main__":
    sys.exit(main())
