"""The spam score of a document of a search: the starter model's margin of its text."""

import hashlib
from collections import OrderedDict

from mtspam.config import MailSettings, Settings
from mtspam.mail.extractor import Extractor
from mtspam.model.starter import PUBLIC_SEED, Starter
from mtspam.spam.hashing import load_starter

__all__ = ["MODEL_FACT", "OTHER_MODEL", "DocumentScorer", "model_of", "scorer_of"]

MODEL_FACT = "spam_model"
"""The fact of a trained version that says which model scored the documents."""
OTHER_MODEL = (
    "the trees were grown with spam scores of another model, or with none: train again with "
    "`mtspam rank train`"
)

_HEAD = b"Content-Type: text/plain; charset=utf-8\n\n"
_MOST_CHARACTERS = 65_536
_STEPS = 2
_REMEMBERED = 20_000
_NAME_DIGITS = 12


def scorer_of(settings: Settings) -> "DocumentScorer | None":
    """Return who scores documents by the starter model that travels with the package.

    None where there is no such model, or `ranking.spam_score` is off.

    Raises
    ------
    SnapshotError
        Where the model is damaged.
    """
    starter = load_starter() if settings.ranking.spam_score else None
    return None if starter is None else DocumentScorer(settings.mail, starter)


def model_of(scorer: "DocumentScorer | None") -> str:
    """Return the name of the model by which documents are scored, empty if by none."""
    return "" if scorer is None else scorer.name


class DocumentScorer:
    """Says how likely a text is spam, roughly; not to be shared between threads.

    It is the starter model that is asked and never what an installation has learnt from mail:
    that changes with every label, and a document must have the score with which trees were grown
    when they are asked, too. Nor can anybody see in a search what others call spam.

    Parameters
    ----------
    settings
        How mail is read.
    starter
        The starter model.

    Attributes
    ----------
    name
        Of the model; another one for other weights.

    Examples
    --------
    >>> from mtspam.config import Settings
    >>> scorer = scorer_of(Settings())
    >>> said = "Best prices, order cheap pills now, no prescription needed! Click here to buy."
    >>> scorer is None or scorer(said) > 0.0
    True
    """

    def __init__(self, settings: MailSettings, starter: Starter) -> None:
        weights = hashlib.sha256()
        for array in starter.arrays().values():
            weights.update(array.tobytes())
        self.name = f"starter {weights.hexdigest()[:_NAME_DIGITS]}"
        self._starter = starter
        self._extractor = Extractor(settings, 0, public_seed=PUBLIC_SEED)
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def __call__(self, text: str) -> float:
        """Return the log-odds that a text is spam in halves, 0 where it rather is none.

        It is the first 65,536 characters that are read.
        """
        raw = text[:_MOST_CHARACTERS].encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        score = self._known.get(digest)
        if score is None:
            self._extractor.read(_HEAD + raw)
            margin = self._starter.margin_of(self._extractor.bases, self._extractor.counts)
            # To the last digit it would be a name of the document, which trees learn by heart.
            score = max(0.0, round(_STEPS * margin) / _STEPS)
            self._known[digest] = score
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return score
