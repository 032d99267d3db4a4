"""Raw bytes to features: the one way by which mail reaches the learner. It never raises."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtspam.config import MailSettings
from mtspam.kernels import decode, html, mime, tokens, windows
from mtspam.mail.charsets import find_charset
from mtspam.mail.fields import field_rules
from mtspam.mail.letters import entity_table, fold_table
from mtspam.mail.views import N_VIEWS
from mtspam.mail.words import decode_words
from mtspam.types import Example, Features

__all__ = ["DEFECTS", "Extractor"]

DEFECTS: dict[int, str] = {
    mime.DEFECT_HEADER_LINE: "header-line",
    mime.DEFECT_FIELDS: "too-many-fields",
    mime.DEFECT_PARTS: "too-many-parts",
    mime.DEFECT_DEPTH: "too-deep",
    mime.DEFECT_NO_BOUNDARY: "no-boundary",
    mime.DEFECT_UNCLOSED: "unclosed-part",
}

MAX_FIELDS = 1024
MAX_SPANS = 2048
MAX_TOKENS = 8192
TEXT_TYPES = (mime.TYPE_PLAIN, mime.TYPE_HTML, mime.TYPE_TEXT)


class Extractor:
    """Reads messages, one at a time, in memory that is allocated once.

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
    >>> [len(view) for view in extractor.example(b"Subject: hi\\n\\nHello there").views]
    [9, 8, 0, 4, 1]
    """

    def __init__(
        self, settings: MailSettings, seed: int, *, public_seed: int | None = None
    ) -> None:
        self._settings = settings
        self._seed = np.uint64(seed)
        self._public_seed = None if public_seed is None else np.uint64(public_seed)
        self._limits = np.array([settings.max_header_bytes, settings.max_depth], np.int64)
        self._fold = fold_table()
        self._rules = field_rules()
        self._entities = entity_table()
        room = settings.max_text_bytes
        self.fields = np.zeros((MAX_FIELDS, mime.FIELD_COLUMNS), np.int64)
        self.parts = np.zeros((settings.max_parts, mime.PART_COLUMNS), np.int32)
        self.spans = np.zeros((MAX_SPANS, html.SPAN_COLUMNS), np.int32)
        self.text = np.zeros(room + 2 * settings.max_header_bytes, np.uint8)
        self._header_end = settings.max_header_bytes
        self._state = np.zeros(3, np.int64)
        self._source = np.zeros(room, np.uint8)
        self._recoded = np.zeros(3 * room, np.uint8)
        self._scratch = np.zeros(8192, np.uint8)
        self._head = np.zeros(settings.head_window_bytes, np.uint8)
        self._body = np.zeros(settings.body_window_bytes, np.uint8)
        self._n_head = self._n_body = 0
        n_slots = 1 << (3 * MAX_TOKENS - 1).bit_length()
        self.bases = np.zeros((tokens.N_TOKEN_VIEWS, MAX_TOKENS), np.uint64)
        self.places = np.zeros((tokens.N_TOKEN_VIEWS, MAX_TOKENS, 3), np.int32)
        self.counts = np.zeros(tokens.N_TOKEN_VIEWS + 1, np.int64)
        self._sink = (self.bases, self.places, self.counts, np.zeros((n_slots, 2), np.uint64))
        longest = max(settings.head_window_bytes, settings.body_window_bytes)
        self._windows = np.zeros((2, longest), np.uint64)
        self._seen = np.zeros(1 << (2 * longest - 1).bit_length(), np.uint64)
        self._turn = 0
        self.defects = 0

    @property
    def max_features(self) -> int:
        """How many features a message can have at most."""
        return 2 * self._windows.shape[1] + tokens.N_TOKEN_VIEWS * MAX_TOKENS

    def read(self, raw: bytes) -> None:
        """Read one message, whatever it is, into the arrays of this extractor."""
        data = np.frombuffer(raw, np.uint8)
        size = min(len(raw), self._settings.max_message_bytes)
        n_fields, n_parts, self.defects = mime.split(
            data, size, self.fields, self.parts, self._limits
        )
        self.n_parts = n_parts
        state = self._state
        state[:] = 0, self._header_end, 0
        self._n_head, n_encoded = tokens.lay_headers(
            data, self.fields, n_fields, self._rules, self.text, state, self.spans, self._head
        )
        state[1] = self.text.shape[0]
        if n_encoded:
            self._decode_words()
        self._n_body = 0
        self._source_left = self._source.shape[0]
        for row in range(n_parts):
            part = self.parts[row]
            if part[mime.P_FILE_END] > part[mime.P_FILE]:
                self._lay(raw[part[mime.P_FILE] : part[mime.P_FILE_END]], tokens.SPAN_FILE)
            if part[mime.P_TYPE] in TEXT_TYPES and part[mime.P_BODY_END] > part[mime.P_BODY]:
                self._read_text(raw, data, part)
        if self.defects:
            for bit, name in DEFECTS.items():
                if self.defects & bit:
                    self._lay(name.encode(), tokens.SPAN_DEFECT)
        tokens.read_tokens(
            self.text, self.spans, int(state[2]), self.fields, self._fold, self._sink
        )

    def _lay(self, value: bytes, kind: int, row: int = 0) -> None:
        """Append `value` to the text as one span."""
        start, room, n_spans = (int(x) for x in self._state)
        value = value[: room - start]
        if n_spans >= MAX_SPANS or not value:
            return
        if kind == tokens.SPAN_FILE and b"=?" in value:
            value = decode_words(value)[: room - start]
        self.text[start : start + len(value)] = np.frombuffer(value, np.uint8)
        self.spans[n_spans] = kind, start, start + len(value), row
        self._state[0] += len(value)
        self._state[2] += 1

    def _decode_words(self) -> None:
        """Replace the spans of fields with encoded words by their decoded text."""
        for number in range(int(self._state[2])):
            span = self.spans[number]
            if span[3] >= 0:
                continue
            value = decode_words(self.text[span[1] : span[2]].tobytes())
            start = int(self._state[0])
            value = value[: self._state[1] - start]
            self.text[start : start + len(value)] = np.frombuffer(value, np.uint8)
            self._state[0] += len(value)
            self.spans[number] = span[0], start, start + len(value), -span[3] - 1

    def _read_text(self, raw: bytes, data: NDArray[np.uint8], part: NDArray[np.int32]) -> None:
        """Decode one part of text, keep its first bytes, lay out what it shows."""
        if self._source_left <= 0:
            return
        source = self._source
        size, high = decode.decode_body(
            data,
            (int(part[mime.P_BODY]), int(part[mime.P_BODY_END])),
            int(part[mime.P_ENCODING]),
            source,
            (0, self._source_left),
        )
        self._source_left -= size
        n = min(size, self._body.shape[0] - self._n_body)
        self._body[self._n_body : self._n_body + n] = source[:n]
        self._n_body += n
        charset = find_charset(raw[part[mime.P_CHARSET] : part[mime.P_CHARSET_END]])
        if high or (charset is not None and not charset.is_ascii_superset):
            if charset is None and not decode.is_utf8(source, 0, size):
                charset = find_charset(b"iso-8859-1")
            if charset is not None:
                source, size = self._recode(source, size, charset.codec, charset.table)
        state = self._state
        if part[mime.P_TYPE] == mime.TYPE_HTML:
            html.read_html(
                source, (0, size), self.text, state, self.spans, self._entities, self._scratch
            )
            return
        start, number = int(state[0]), int(state[2])
        size = min(size, int(state[1]) - start)
        if number < MAX_SPANS and size > 0:
            self.text[start : start + size] = source[:size]
            self.spans[number] = tokens.SPAN_TEXT, start, start + size, 0
            state[0] += size
            state[2] += 1

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
            Output with room for :attr:`max_features` more.
        at
            Where to begin.
        public
            Whether to seal with the public seed.

        Returns
        -------
        list of int
            Where each view begins, and where the last one ends.
        """
        seed = self._public_seed if public else self._seed
        if not public:
            self._find_windows()
        offsets = [at]
        for row, n in enumerate((*self._n_windows, *self.counts[: tokens.N_TOKEN_VIEWS])):
            bases = self._windows[row] if row < 2 else self.bases[row - 2]  # noqa: PLR2004 - two views of windows
            tokens.seal(bases, n, seed, out[at:])
            at += int(n)
            offsets.append(at)
        return offsets

    def _find_windows(self) -> None:
        self._turn += 2
        if self._turn > 1 << 30:
            self._seen[:] = 0
            self._turn = 2
        self._n_windows = (
            windows.distinct_windows(
                self._head, self._n_head, self._windows[0], self._seen, self._turn
            ),
            windows.distinct_windows(
                self._body, self._n_body, self._windows[1], self._seen, self._turn + 1
            ),
        )

    def features(self, messages: Sequence[bytes]) -> Features:
        """Extract many messages into one block, in the order given."""
        out = np.empty(max(1, len(messages)) * 4096 + self.max_features, np.uint32)
        offsets = np.zeros((len(messages), N_VIEWS + 1), np.int64)
        at = 0
        for row, raw in enumerate(messages):
            if at + self.max_features > out.shape[0]:
                out = np.concatenate([out, np.empty_like(out)])
            self.read(raw)
            offsets[row] = self.seal(out, at)
            at = int(offsets[row, -1])
        return Features(out[:at], offsets)

    def example(self, raw: bytes) -> Example:
        """Extract one message as the journal keeps it: every view sorted."""
        block = self.features([raw])
        bounds = block.offsets[0]
        return Example(
            tuple(
                np.unique(block.values[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)
            )
        )
