"""Tokens made readable again, through the message that the extractor read last."""

from dataclasses import dataclass

import numpy as np

from mtspam.mail.extractor import Extractor
from mtspam.mail.views import TOKEN_KINDS, View

__all__ = ["Token", "read_tokens"]

_N_WINDOW_VIEWS = 2


@dataclass(frozen=True, slots=True)
class Token:
    """A feature with its name: view, kind, text, and the hash under which it is learnt."""

    view: View
    kind: str
    text: str
    hash: int


def read_tokens(extractor: Extractor) -> list[Token]:
    """List the tokens of the message read last, view by view."""
    values = np.empty(extractor.max_features, np.uint32)
    offsets = extractor.seal(values, 0)
    tokens: list[Token] = []
    for view in View:
        for at in range(offsets[view], offsets[view + 1]):
            place = at - offsets[view]
            base = int(extractor.bases[view, place])
            if view < _N_WINDOW_VIEWS:
                kind, text = "bytes", repr(base.to_bytes(4, "little"))[2:-1]
            else:
                code, start, end = extractor.places[view - _N_WINDOW_VIEWS, place].tolist()
                kind = TOKEN_KINDS[chr(code)]
                text = extractor.text[start:end].tobytes().decode("utf-8", "replace")
            tokens.append(Token(view, kind, text, int(values[at])))
    return tokens
