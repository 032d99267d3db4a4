"""Raw bytes to features: the one way by which mail reaches the learner. It never raises."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtspam.config import MailSettings
from mtspam.kernels import decode, distinct, fieldtokens, headers, html, links, mime, texttokens
from mtspam.mail.charsets import find_charset
from mtspam.mail.fields import field_rules
from mtspam.mail.letters import entity_table, fold_table
from mtspam.mail.views import N_TOKEN_VIEWS, N_VIEWS, N_WINDOW_VIEWS
from mtspam.mail.words import decode_words
from mtspam.types import Example, Features

__all__ = ["DEFECTS", "Extractor"]

TOO_LONG, TOO_MUCH_TEXT, TOO_MANY_SPANS, TOO_MANY_TOKENS = (1 << bit for bit in range(16, 20))

DEFECTS: dict[int, str] = {
    mime.DEFECT_HEADER_LINE: "header-line",
    mime.DEFECT_FIELDS: "too-many-fields",
    mime.DEFECT_PARTS: "too-many-parts",
    mime.DEFECT_DEPTH: "too-deep",
    mime.DEFECT_NO_BOUNDARY: "no-boundary",
    mime.DEFECT_UNCLOSED: "unclosed-part",
    mime.DEFECT_REPEATED: "repeated-field",
    TOO_LONG: "too-long",
    TOO_MUCH_TEXT: "too-much-text",
    TOO_MANY_SPANS: "too-many-spans",
    TOO_MANY_TOKENS: "too-many-tokens",
}
"""Name of each bit of :attr:`Extractor.defects`."""

MAX_FIELDS = 1024
MAX_SPANS = 2048
MAX_TOKENS = 8192  # of one view
# Kept free for the names of defects: spans, bytes of text.
DEFECT_SPANS, DEFECT_BYTES = 16, 256
HTML_SPANS = 6  # that kernels/html.py needs free, or it stops
MAX_TURN = 1 << 29
TEXT_TYPES = (mime.TYPE_PLAIN, mime.TYPE_HTML, mime.TYPE_TEXT)


class Extractor:
    r"""Reads messages, one at a time, in memory that is allocated once.

    An extractor is cheap to use and dear to make; it must not be shared between threads. After a
    call of :meth:`read` its arrays describe the message read last.

    Parameters
    ----------
    settings
        The limits.
    seed
        Secret of the installation, 64 bits, that decides where a feature lies in the tables.
    public_seed
        If given, features are also sealed with this seed, for a starter model.

    Examples
    --------
    >>> extractor = Extractor(MailSettings(), seed=1)
    >>> [len(view) for view in extractor.example(b"Subject: hi\n\nHello there").views]
    [9, 8, 0, 4, 1]
    """

    def __init__(
        self, settings: MailSettings, seed: int, *, public_seed: int | None = None
    ) -> None:
        self._settings = settings
        self._seed = np.uint64(seed)
        self._public_seed = self._seed if public_seed is None else np.uint64(public_seed)
        self._limits = np.array([settings.max_header_bytes, settings.max_depth], np.int64)
        self._fold = fold_table()
        self._rules = field_rules()
        self._entities = entity_table()
        self.raw = b""
        self.defects = 0
        self.n_fields = self.n_parts = self.n_spans = 0
        self._make_room_for_text()
        self._make_room_for_features()

    def _make_room_for_text(self) -> None:
        settings = self._settings
        room = settings.max_text_bytes
        self.fields = np.zeros((MAX_FIELDS, mime.FIELD_COLUMNS), np.int64)
        self.parts = np.zeros((settings.max_parts, mime.PART_COLUMNS), np.int32)
        self.spans = np.zeros((MAX_SPANS, html.SPAN_COLUMNS), np.int32)
        self._spans = self.spans[: MAX_SPANS - DEFECT_SPANS]
        self._header_end = settings.max_header_bytes
        self._words_end = 2 * settings.max_header_bytes
        self._text_end = self._words_end + room
        self.text = np.zeros(self._text_end + DEFECT_BYTES, np.uint8)
        self._state = np.zeros(3, np.int64)
        self._source = np.zeros(room, np.uint8)
        self._recoded = np.zeros(3 * room, np.uint8)
        self._scratch = np.zeros(8192, np.uint8)
        self._source_left = 0

    def _make_room_for_features(self) -> None:
        settings = self._settings
        longest = max(settings.head_window_bytes, settings.body_window_bytes)
        self.windows = np.zeros((N_WINDOW_VIEWS, longest), np.uint8)
        self._head = self.windows[0, : settings.head_window_bytes]
        self._body = self.windows[1, : settings.body_window_bytes]
        self.sizes = np.zeros(N_WINDOW_VIEWS, np.int64)
        self.bases = np.zeros((N_VIEWS, max(longest, MAX_TOKENS)), np.uint64)
        self.places = np.zeros((N_TOKEN_VIEWS, MAX_TOKENS, 3), np.int32)
        self.counts = np.zeros(N_VIEWS, np.int64)
        self._found = np.zeros((2 * self.text.shape[0] + 4 * MAX_SPANS, 2), np.uint64)
        self._seen_windows = np.zeros(1 << (2 * longest - 1).bit_length(), np.uint64)
        n_slots = 1 << (2 * N_TOKEN_VIEWS * MAX_TOKENS - 1).bit_length()
        self._seen_tokens = np.zeros((n_slots, 2), np.uint64)
        self._offsets = np.zeros(N_VIEWS + 1, np.int64)
        self._turn = 0
        self.max_features = self._head.size + self._body.size + N_TOKEN_VIEWS * MAX_TOKENS

    def read(self, raw: bytes) -> None:
        """Read one message, whatever it is, into the arrays of this extractor.

        Parameters
        ----------
        raw
            The message as received.
        """
        self.raw = raw
        data = np.frombuffer(raw, np.uint8)
        size = min(len(raw), self._settings.max_message_bytes)
        self.n_fields, self.n_parts, self.defects = mime.split(
            data, size, self.fields, self.parts, self._limits
        )
        if size < len(raw):
            self.defects |= TOO_LONG
        state = self._state
        state[0], state[1], state[2] = 0, self._header_end, 0
        n_head, n_encoded = headers.lay_headers(
            data,
            self.fields,
            self.n_fields,
            self._rules,
            self.text,
            state,
            self._spans,
            self._head,
        )
        if n_encoded:
            state[1] = self._words_end
            self._decode_words()
        state[1] = self._text_end
        self.sizes[0], self.sizes[1] = n_head, 0
        self._source_left = self._source.shape[0]
        for part in self.parts[: self.n_parts].tolist():
            if part[mime.P_FILE_END] > part[mime.P_FILE]:
                name = raw[part[mime.P_FILE] : part[mime.P_FILE_END]]
                name = decode_words(name) if b"=?" in name else name
                self._lay(name, headers.SPAN_FILE, self._spans)
            if part[mime.P_TYPE] in TEXT_TYPES and part[mime.P_BODY_END] > part[mime.P_BODY]:
                self._read_text(raw, data, part)
        self._lay_defects()
        self._find_features()

    def _lay_defects(self) -> None:
        """Append the names of the defects, which are tokens like others."""
        if self._state[2] >= self._spans.shape[0] - HTML_SPANS:
            self.defects |= TOO_MANY_SPANS
        if self.defects:
            self._state[1] = self.text.shape[0]
            for bit, name in DEFECTS.items():
                if self.defects & bit:
                    self._lay(name.encode(), headers.SPAN_DEFECT, self.spans)

    def _find_features(self) -> None:
        """Make the sets of base hashes of all views."""
        text, spans, found = self.text, self.spans, self._found
        self.n_spans = n_spans = int(self._state[2])
        n = fieldtokens.read_fields(text, spans, n_spans, self.fields, found)
        n = texttokens.read_text(text, spans, n_spans, self._fold, found, n)
        self._turn += N_WINDOW_VIEWS
        if self._turn > MAX_TURN:
            self._seen_windows[:] = 0
            self._seen_tokens[:] = 0
            self._turn = N_WINDOW_VIEWS
        scratch = (self._seen_windows, self._turn, self._seed)
        distinct.distinct_windows(self.windows, self.sizes, scratch, self.bases, self.counts)
        rows = (self._seen_tokens, self._turn, self._seed)
        if distinct.distinct_tokens(found, n, rows, self.bases, self.places, self.counts):
            self.defects |= TOO_MANY_TOKENS

    def _lay(self, value: bytes | NDArray[np.uint8], kind: int, spans: NDArray[np.int32]) -> None:
        """Append `value` to the text as one span, as far as there is room."""
        start, room, n_spans = self._state.tolist()
        value = value[: room - start]
        size = len(value)
        if n_spans >= spans.shape[0] or size == 0:
            return
        self.text[start : start + size] = (
            np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        )
        spans[n_spans] = kind, start, start + size, 0
        self._state[0] = start + size
        self._state[2] = n_spans + 1

    def _decode_words(self) -> None:
        """Replace the spans of fields with encoded words by their decoded text."""
        at, room, n_spans = self._state.tolist()
        for number, (kind, start, end, row) in enumerate(self.spans[:n_spans].tolist()):
            if row >= 0:
                continue
            value = decode_words(self.text[start:end].tobytes())[: room - at]
            self.text[at : at + len(value)] = np.frombuffer(value, np.uint8)
            self.spans[number] = kind, at, at + len(value), -row - 1
            at += len(value)
        self._state[0] = at

    def _read_text(self, raw: bytes, data: NDArray[np.uint8], part: list[int]) -> None:
        """Decode one part of text, keep its first bytes, lay out what it shows."""
        source = self._source
        span = (part[mime.P_BODY], part[mime.P_BODY_END])
        size, high, after = decode.decode_body(
            data, span, part[mime.P_ENCODING], source, (0, self._source_left)
        )
        self._source_left -= size
        if after < span[1]:
            self.defects |= TOO_MUCH_TEXT
        n_body = int(self.sizes[1])
        n = min(size, self._body.shape[0] - n_body)
        if n > 0:
            self._body[n_body : n_body + n] = source[:n]
            self.sizes[1] = n_body + n
        charset = find_charset(raw[part[mime.P_CHARSET] : part[mime.P_CHARSET_END]])
        if high or (charset is not None and not charset.is_ascii_superset):
            if charset is None and not decode.is_utf8(source, 0, size):
                charset = find_charset(b"iso-8859-1")
            if charset is not None:
                source, size = self._recode(source, size, charset.codec, charset.table)
        if part[mime.P_TYPE] != mime.TYPE_HTML:
            self._lay(source[:size], headers.SPAN_TEXT, self._spans)
            return
        state = self._state
        html.read_html(
            source, (0, size), self.text, state, self._spans, self._entities, self._scratch
        )
        links.compare_links(self.text, self._spans, int(state[2]))

    def _recode(
        self, source: NDArray[np.uint8], size: int, codec: str, table: NDArray[np.uint32] | None
    ) -> tuple[NDArray[np.uint8], int]:
        """Turn text of another charset into UTF-8."""
        out = self._recoded
        if table is not None:
            return out, decode.table_to_utf8(source, (0, size), table, out, (0, out.shape[0]))
        text = source[:size].tobytes().decode(codec, "replace").encode("utf-8", "replace")
        size = min(len(text), out.shape[0])
        out[:size] = np.frombuffer(text, np.uint8, size)
        return out, size

    def seal(self, out: NDArray[np.uint32], at: int, *, public: bool = False) -> list[int]:
        """Write the features of the message read last to ``out[at:]``.

        Parameters
        ----------
        out
            Output with room for :attr:`max_features` more, C-contiguous.
        at
            Where to begin.
        public
            Whether to seal with the public seed.

        Returns
        -------
        list of int
            Where each view begins, and where the last one ends.
        """
        self._offsets[0] = at
        seed = self._public_seed if public else self._seed
        distinct.seal(self.bases, self.counts, seed, out, self._offsets)
        offsets: list[int] = self._offsets.tolist()
        return offsets

    def seal_row(self, out: NDArray[np.uint32], offsets: NDArray[np.int64]) -> int:
        """Write the features of the message read last as a row of a block.

        Parameters
        ----------
        out
            Output with room for :attr:`max_features` from ``offsets[0]`` on, C-contiguous.
        offsets
            Where to begin and, as output, where each view ends; shape ``(N_VIEWS + 1,)``,
            C-contiguous.

        Returns
        -------
        int
            Where the last view ends.
        """
        return distinct.seal(self.bases, self.counts, self._seed, out, offsets)

    def features(self, messages: Sequence[bytes]) -> Features:
        """Extract many messages into one block, in the order given.

        Parameters
        ----------
        messages
            Raw messages.
        """
        out = np.empty(max(1, len(messages)) * 4096 + self.max_features, np.uint32)
        offsets = np.zeros((len(messages), N_VIEWS + 1), np.int64)
        at = 0
        for row, raw in enumerate(messages):
            if at + self.max_features > out.shape[0]:
                out = np.concatenate([out, np.empty_like(out)])
            self.read(raw)
            offsets[row, 0] = at
            at = self.seal_row(out, offsets[row])
        return Features(out[:at], offsets)

    def example(self, raw: bytes) -> Example:
        """Extract one message as the journal keeps it: every view sorted.

        Parameters
        ----------
        raw
            The message as received.
        """
        block = self.features([raw])
        bounds = block.offsets[0].tolist()
        return Example(tuple(np.unique(block.values[a:b]) for a, b in pairwise(bounds)))
