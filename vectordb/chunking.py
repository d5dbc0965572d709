"""Cutting documents into chunks that an embedder can read whole, and putting them together again.

Chunks end at the largest boundary that fits (paragraph, line, sentence, word), by
`semantic-text-splitter`. Read in order they cover the document without a gap, so that the text
can be restored exactly and a hit can be shown in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from vectordb.errors import ConfigurationError, InvalidInput, InvalidText

if TYPE_CHECKING:
    from semantic_text_splitter import TextSplitter
    from tokenizers import Tokenizer

Unit = Literal["tokens", "characters"]

# What a chunk has at most where nothing else is said. Longer ones blur what they are about in a single vector, even
# where a model could read them.
DEFAULT_TOKENS = 512
DEFAULT_CHARACTERS = 1000

# Encodings are large; so many are held at a time.
_COUNTED_AT_ONCE = 1024


@dataclass(frozen=True)
class Chunking:
    """How documents are cut.

    Args:
        size: Most tokens or characters in a chunk. None takes what the embedder can read, up to
            512 tokens, or 1000 characters where it has no tokenizer.
        overlap: Tokens or characters, at most, that a chunk repeats of the one before.
        unit: What `size` and `overlap` count: "tokens" of the embedder, or "characters".

    Raises:
        ConfigurationError: A number out of range, an overlap that is not smaller than the size,
            or an unknown unit.
    """

    size: int | None = None
    overlap: int = 0
    unit: Unit = "tokens"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigurationError(f"the unit of chunks is 'tokens' or 'characters', not {self.unit!r}")
        if self.size is not None and not (_is_whole(self.size) and self.size >= 1):
            raise ConfigurationError(f"the size of chunks is a whole number of at least 1, not {self.size!r}")
        if not (_is_whole(self.overlap) and self.overlap >= 0):
            raise ConfigurationError(f"the overlap of chunks is a whole number of at least 0, not {self.overlap!r}")
        if self.size is not None and self.overlap >= self.size:
            raise ConfigurationError(f"an overlap of {self.overlap} must be smaller than the size, {self.size}")

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Chunking:
        """Return the options that `to_dict` described; what is absent has its default.

        Raises:
            ConfigurationError: As for `Chunking` itself.
        """
        return cls(data.get("size"), data.get("overlap", 0), data.get("unit", "tokens"))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of a document.

    Attributes:
        ordinal: Place among the chunks of its document, from 0.
        content: The text itself, equal to `text[start:end]`.
        start: Where it begins in the document, in characters.
        end: Where it ends in the document, in characters.
        tokens: Its length in tokens, without special ones; None without a tokenizer.
    """

    ordinal: int
    content: str
    start: int
    end: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    content: str
    tokens: int | None

    @property
    def end(self) -> int:
        return self.start + len(self.content)

    @property
    def is_blank(self) -> bool:
        return self.tokens == 0 or self.content.isspace()


class Chunker:
    """Cuts texts into chunks.

    Args:
        chunking: Size, overlap and unit.
        tokenizer: The embedder's `tokenizers.Tokenizer`, without truncation and padding.
        max_tokens: The longest text that the embedder can read; needs the tokenizer.

    Raises:
        ConfigurationError: A size beyond `max_tokens`, of which the embedder would see the
            beginning only; an overlap that is not smaller than the size; or tokens to be
            counted without a tokenizer.
    """

    def __init__(
        self, chunking: Chunking, *, tokenizer: Tokenizer | None = None, max_tokens: int | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens if tokenizer is not None else None
        self._overlap = chunking.overlap
        self._splitters: dict[tuple[int, int], TextSplitter] = {}
        self._by_tokens = chunking.unit == "tokens" and tokenizer is not None
        if chunking.unit == "tokens" and tokenizer is None and (chunking.size is not None or chunking.overlap):
            raise ConfigurationError(
                "this embedder has no tokenizer, so that chunks cannot be measured in tokens; use "
                "Chunking(size=…, unit='characters')"
            )
        self._size = self._choose_size(chunking)
        if self._overlap >= self._size:
            raise ConfigurationError(f"an overlap of {self._overlap} must be smaller than the size, {self._size}")

    def _choose_size(self, chunking: Chunking) -> int:
        if not self._by_tokens:
            return chunking.size if chunking.size is not None else DEFAULT_CHARACTERS
        limit = self._max_tokens
        if chunking.size is None:
            return DEFAULT_TOKENS if limit is None else min(limit, DEFAULT_TOKENS)
        if limit is not None and chunking.size > limit:
            raise ConfigurationError(
                f"chunks of {chunking.size} tokens are too long for this embedder, which reads {limit} and would not "
                f"see the rest; use Chunking(size={limit}) or less"
            )
        return chunking.size

    def split(self, texts: Sequence[str]) -> list[list[TextChunk]]:
        """Cut each text into chunks.

        No chunk is longer than the size or than the embedder can read, except for a single
        character that is. A chunk without words is joined to its neighbour if there is room.

        Args:
            texts: The documents.

        Returns:
            The chunks of each text, in order and without gaps; none for a blank text.

        Raises:
            InvalidText: A text holds a lone surrogate.
        """
        given = list(texts)
        pieces = self._cut(given, self._size, self._overlap)
        return [
            [
                TextChunk(ordinal, piece.content, piece.start, piece.end, piece.tokens)
                for ordinal, piece in enumerate(self._join_blanks(text, own))
            ]
            for text, own in zip(given, pieces, strict=True)
        ]

    def _cut(self, texts: list[str], size: int, overlap: int) -> list[list[_Piece]]:
        """Cut texts into pieces that fit, whatever the splitter makes of `size`."""
        try:
            cuts = self._splitter(size, overlap).chunk_all_indices(texts)
        except UnicodeEncodeError as error:
            raise InvalidText(
                "a text holds a lone surrogate (text decoded wrongly); replace it with U+FFFD", position=error.start
            ) from None
        counts = iter(self._count([content for cut in cuts for _, content in cut]))
        pieces = [[_Piece(start, content, next(counts)) for start, content in cut] for cut in cuts]
        return [_without_repeats(part for piece in own for part in self._fit(piece, size)) for own in pieces]

    def _fit(self, piece: _Piece, size: int) -> list[_Piece]:
        """Cut a piece again that has too many tokens.

        The splitter's last piece may be a token too long where a tokenizer puts a token before the text, as those of
        XLM-R and T5 do; and a size in characters says nothing about tokens.
        """
        if self._has_room(piece) or len(piece.content) == 1 or size == 1:
            return [piece]
        [parts] = self._cut([piece.content], size // 2, 0)
        return [_Piece(piece.start + part.start, part.content, part.tokens) for part in parts]

    def _has_room(self, piece: _Piece) -> bool:
        """Say whether a piece is within the limits."""
        if not self._by_tokens and len(piece.content) > self._size:
            return False
        limit = self._size if self._by_tokens else self._max_tokens
        return limit is None or piece.tokens is None or piece.tokens <= limit

    def _join_blanks(self, text: str, pieces: list[_Piece]) -> list[_Piece]:
        """Join pieces without words to a neighbour: the vector of nothing would be near to anything."""
        if all(piece.is_blank for piece in pieces):
            return []
        joined: list[_Piece] = []
        for piece in pieces:
            last = joined[-1] if joined else None
            both = self._union(text, last, piece) if last and (last.is_blank or piece.is_blank) else None
            if both is not None and self._has_room(both):
                joined[-1] = both
            else:
                joined.append(piece)
        return joined

    def _union(self, text: str, first: _Piece, second: _Piece) -> _Piece:
        content = text[first.start : max(first.end, second.end)]
        return _Piece(first.start, content, self._count([content])[0])

    def _count(self, contents: list[str]) -> list[int | None]:
        if self._tokenizer is None:
            return [None] * len(contents)
        counts: list[int | None] = []
        for begin in range(0, len(contents), _COUNTED_AT_ONCE):
            batch = contents[begin : begin + _COUNTED_AT_ONCE]
            counts += [len(encoding) for encoding in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        return counts

    def _splitter(self, size: int, overlap: int) -> TextSplitter:
        """Return the splitter for a size, made once: each copies the whole tokenizer."""
        from semantic_text_splitter import TextSplitter

        splitter = self._splitters.get((size, overlap))
        if splitter is None:
            if self._by_tokens and self._tokenizer is not None:
                splitter = TextSplitter.from_huggingface_tokenizer(self._tokenizer, size, overlap=overlap, trim=False)
            else:
                splitter = TextSplitter(size, overlap=overlap, trim=False)
            self._splitters[size, overlap] = splitter
        return splitter


def _without_repeats(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Leave out pieces that lie within a neighbour, as when overlapping pieces had to be cut again."""
    kept: list[_Piece] = []
    for piece in pieces:
        if kept and piece.end <= kept[-1].end:
            continue
        while kept and kept[-1].start >= piece.start:
            kept.pop()
        kept.append(piece)
    return kept


def join_chunks(chunks: Iterable[tuple[int, str]]) -> str:
    """Put the chunks of one document together again.

    Args:
        chunks: Start and content of every chunk, in any order; they may overlap.

    Returns:
        The document's text; empty for no chunks.

    Raises:
        InvalidInput: A part of the document is missing between two chunks.
    """
    parts: list[str] = []
    end = 0
    for start, content in sorted(chunks):
        if start > end:
            raise InvalidInput(f"characters {end} to {start} of the document are missing; pass all of its chunks")
        parts.append(content[end - start :])
        end = max(end, start + len(content))
    return "".join(parts)
