"""Features made readable again for people: what they are called and what stands behind them."""

import unicodedata
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from mtspam.kernels import fieldtokens, headers, mime
from mtspam.mail.extractor import Extractor
from mtspam.mail.views import N_WINDOW_VIEWS, TOKEN_KINDS, View

__all__ = ["Token", "read_tokens"]

MAX_SHOWN = 120  # characters of a token that are shown
FIELD_SPANS = {*range(headers.SPAN_SUBJECT, headers.SPAN_NAME + 1), headers.SPAN_CONTENT}


class Token(NamedTuple):
    """One feature of a message.

    Parameters
    ----------
    view
        The view that it belongs to.
    kind
        Name of its kind, as in :data:`mtspam.mail.views.TOKEN_KINDS`; ``window`` for four bytes.
    text
        What stands in the message, without control characters, cut where it is long.
    feature
        Its sealed hash.
    """

    view: View
    kind: str
    text: str
    feature: int


def read_tokens(extractor: Extractor, *, public: bool = False) -> list[Token]:
    r"""Return the features of the message that `extractor` read last, readable.

    The text comes from strangers: it has no control characters, but whoever shows it must still
    quote it as its medium asks.

    Parameters
    ----------
    extractor
        An extractor after :meth:`~mtspam.mail.extractor.Extractor.read`.
    public
        Whether the features are to be sealed with the public seed.

    Examples
    --------
    >>> from mtspam.config import MailSettings
    >>> extractor = Extractor(MailSettings(), seed=1)
    >>> extractor.read(b"Subject: Hi\n\nGood day")
    >>> [(token.kind, token.text) for token in read_tokens(extractor) if token.view == View.TEXT]
    [('subject-word', 'Hi'), ('word', 'Good'), ('word', 'day'), ('pair', 'Good day')]
    """
    features = np.empty(extractor.max_features, np.uint32)
    offsets = extractor.seal(features, 0, public=public)
    shower = _Shower(extractor)
    tokens: list[Token] = []
    for view in View:
        start, end = offsets[view], offsets[view + 1]
        if view < N_WINDOW_VIEWS:
            windows = extractor.bases[view, : end - start].astype("<u4").tobytes()
            at = range(0, len(windows), 4)
            shown = [("window", repr(windows[i : i + 4])[2:-1]) for i in at]
        else:
            shown = shower.show(view)
        sealed = features[start:end].tolist()
        tokens += [Token(view, *one, feature) for one, feature in zip(shown, sealed, strict=True)]
    return tokens


class _Shower:
    """Finds what stands behind the tokens of one message."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        fields = extractor.fields[: extractor.n_fields].tolist()
        names = [
            _clean(extractor.raw[f[mime.F_NAME] : f[mime.F_NAME_END]]).lower() for f in fields
        ]
        self._names = {
            _presence_base(field[mime.F_NAME_HASH]): name
            for field, name in zip(fields, names, strict=True)
        }
        self._spans = sorted(
            (start, names[row])
            for kind, start, end, row in extractor.spans[: extractor.n_spans].tolist()
            if end > start and kind in FIELD_SPANS
        )

    def show(self, view: View) -> list[tuple[str, str]]:
        """Kind and text of each token of a view."""
        row = view - N_WINDOW_VIEWS
        n = int(self._extractor.counts[view])
        bases = self._extractor.bases[view, :n].tolist()
        places = self._extractor.places[row, :n].tolist()
        return [self._show(base, *place) for base, place in zip(bases, places, strict=True)]

    def _show(self, base: int, kind: int, start: int, end: int) -> tuple[str, str]:
        text = _clean(self._extractor.text[start:end].tobytes())
        if kind == ord("H"):
            text = self._names[base]
        elif kind in b"fn":
            at = bisect_right(self._spans, start, key=lambda span: span[0])
            name = self._spans[at - 1][1] if at else ""
            text = f"{name}:{text}" if kind == ord("f") else name
        return TOKEN_KINDS[chr(kind)], text


def _presence_base(name_hash: int) -> int:
    """Return the base hash of the token that says that a field is there."""
    kind = ord("H") * int(fieldtokens.MIX_2)
    return ((name_hash ^ kind) * int(fieldtokens.MIX_1)) & 0xFFFFFFFFFFFFFFFF


def _clean(text: bytes) -> str:
    """`text` without invisible letters, with blanks for other controls, cut where it is long."""
    shown = text[: 4 * MAX_SHOWN].decode("utf-8", "replace")
    shown = "".join(
        c if c.isprintable() else " " for c in shown if unicodedata.category(c) != "Cf"
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
