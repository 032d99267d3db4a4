"""Make the starter model from the SpamAssassin public corpus.

The corpus is dedicated to the public domain as a collection (PDDL 1.0, CC0 1.0); what is kept of
it are rounded sums over hashed features, from which no message can be read.
"""

from pathlib import Path

import click
import numpy as np

from mtspam.config import MailSettings, ModelSettings
from mtspam.evaluate.corpus import Corpus
from mtspam.evaluate.index import read_index
from mtspam.mail.extractor import Extractor
from mtspam.mail.views import N_VIEWS, View
from mtspam.model import Batch, Learner, Starter
from mtspam.model.starter import PUBLIC_SEED
from mtspam.snapshot import JSON, write_snapshot

ROOT = Path(__file__).resolve().parent.parent
BITS = 19
CHUNK = 256

# Gentler than the defaults of a learner that goes on learning: what is learnt once must hold
# elsewhere. Measured on corpora of other places and times, see docs/benchmarks.md.
SETTINGS = ModelSettings(shared_bits=20, initial_accumulator=1e-3, largest_step=4.0)

# Addresses, lists and whole subjects of one place and year say nothing about another.
LEFT_OUT = (View.IDENTITY,)


def train(index: Path, root: Path) -> Learner:
    """Learn the corpus in time order with the public seed."""
    learner = Learner(SETTINGS, N_VIEWS)
    extractor = Extractor(MailSettings(), PUBLIC_SEED)
    entries = read_index(index)
    with Corpus(index, entries, root) as corpus:
        messages = list(corpus)
    for start in range(0, len(messages), CHUNK):
        chunk = messages[start : start + CHUNK]
        learner.learn_many(
            Batch(
                features=extractor.features([message.raw for message in chunk]),
                values=np.array([message.entry.is_spam for message in chunk], np.int8),
            )
        )
    return learner


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT.parent / "shared" / "data",
    show_default="../shared/data",
    help="Folder with spam/spamassassin.index and spam/spamassassin.tar.xz.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=ROOT / "data" / "starter.snapshot",
    show_default="data/starter.snapshot",
)
def main(data: Path, output: Path) -> None:
    """Train on the SpamAssassin corpus in time order and write the starter model."""
    folder = data / "spam"
    learner = train(folder / "spamassassin.index", folder / "spamassassin.tar.xz")
    shares = np.full(N_VIEWS, SETTINGS.mixing_weight)
    shares[list(LEFT_OUT)] = 0.0
    starter = Starter.distil(learner, bits=BITS, shares=shares, bias=0.0)
    corpus = "SpamAssassin public corpus"
    header: dict[str, JSON] = {"corpus": corpus, "n_messages": learner.n_events}
    write_snapshot(output, header, starter.arrays())
    output.chmod(0o644)  # unlike a model of an installation, this one is public
    click.echo(f"{output.name}: {learner.n_events} messages, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
