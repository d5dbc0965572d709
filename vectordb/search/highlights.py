"""Where the words of a query occur in a text, as HTML in which nothing but `<mark>` is markup.

PostgreSQL marks the words by the stemmer and dictionaries of the text search configuration. Its own choice of
fragments drops some tags of the text, leaves others unescaped and does not say where it cut; so it marks the whole
text, with characters that no text keeps, and the fragments are chosen and escaped here.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Most fragments, the characters of each, and those of the beginning that stands for a text without a hit.
MAX_FRAGMENTS = 3
FRAGMENT_LENGTH = 160
BEGINNING_LENGTH = 300
# Words beyond these characters are not looked for: time grows with the text.
MAX_CHARACTERS = 100_000
ELLIPSIS = "…"
JOINER = f" {ELLIPSIS} "

# A cut moves so many characters, at most, to fall between words.
_SLACK = 25
_START, _STOP, _BREAK, _LESS_THAN = "\x01", "\x02", "\x04<x>", "\x05"
# Controls other than white space cannot be written in HTML.
_CONTROLS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r\f"
}
_JOINS = "\N{ZERO WIDTH JOINER}"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


class _Word(NamedTuple):
    """A marked word in its place."""

    start: int
    end: int
    form: str


class _Span(NamedTuple):
    start: int
    end: int


def highlight_expression(content: str, config: str, query: str) -> str:
    r"""Return SQL for a text with the words of a query marked, which `to_html` reads.

    Args:
        content: SQL of the text, such as `c.content`.
        config: SQL of the text search configuration, a `regconfig`.
        query: SQL of a `tsquery`. Every lexeme in it is marked, whatever its operators, negated ones too.
    """
    # Four of the text's own control characters give way to ours. Its "<" does, too: the parser would take what follows
    # for a tag, in which no word is found. A token of more than 2046 bytes would be lost; a tag inside divides it.
    plain = rf"translate(left({content}, {MAX_CHARACTERS}), E'<\x01\x02\x04\x05', E'\x05\x1a\x1a\x1a\x1a')"
    divided = rf"regexp_replace({plain}, '\S{{250}}|[^[:alnum:]]{{250}}', E'\\&\x04<x>', 'g')"
    return rf"ts_headline({config}, {divided}, {query}, E'HighlightAll=true, StartSel=\x01, StopSel=\x02')"


def to_html(raw: str) -> str:
    """Return the passages of a marked text in which most words of the query occur, as HTML.

    Everything of the text is escaped, and control characters are shown as U+FFFD; `<mark>` and `</mark>`, without
    attributes, are the only markup.

    Args:
        raw: A value of `highlight_expression`.

    Returns:
        Up to 3 fragments of about 160 characters in the order of the text, with " … " between them and "…" where the
        text goes on; the first 300 characters where no word occurs. Safe as the content of an element; its direction
        is the text's own, so the element should have `dir="auto"`.
    """
    text, words = _read(raw)
    spans = _fragments(text, words)
    if not spans:
        return ""
    before = f"{ELLIPSIS} " if text[: spans[0].start].strip() else ""
    after = f" {ELLIPSIS}" if text[spans[-1].end :].strip() else ""
    return before + JOINER.join(_marked(text, span, words) for span in spans) + after


def _read(raw: str) -> tuple[str, list[_Word]]:
    """Return the text without marks, and the marked words in order."""
    plain = raw.replace(_BREAK, "").replace(_LESS_THAN, "<")
    words: list[_Word] = []
    place = 0
    pieces = re.split(f"[{_START}{_STOP}]", plain)
    for number, piece in enumerate(pieces):
        if number % 2:  # outside and inside take turns
            words.append(_Word(place, place + len(piece), piece.casefold()))
        place += len(piece)
    return "".join(pieces).translate(_CONTROLS), words


def _fragments(text: str, words: list[_Word]) -> list[_Span]:
    if not words:
        start = len(text) - len(text.lstrip())
        if start == len(text):
            return []
        return [_cut(text, _Span(start, start + 1), _Span(start, min(len(text), start + BEGINNING_LENGTH)))]
    spans: list[_Span] = []
    shown: set[str] = set()
    while words and len(spans) < MAX_FRAGMENTS:
        best = max(_windows(words), key=lambda window: (len({word.form for word in window} - shown), len(window)))
        shown |= {word.form for word in best}
        span = _around(text, _Span(best[0].start, best[-1].end))
        spans.append(span)
        words = [word for word in words if word.start < span.start or word.end > span.end]
    return _merged(sorted(spans))


def _windows(words: list[_Word]) -> Iterator[Sequence[_Word]]:
    """Yield the words that fit into one fragment together with each of them as the first."""
    end = 0
    for begin, first in enumerate(words):
        end = max(end, begin + 1)
        while end < len(words) and words[end].end - first.start <= FRAGMENT_LENGTH:
            end += 1
        yield words[begin:end]


def _around(text: str, core: _Span) -> _Span:
    """Return a fragment with the core in its middle, as far as the text allows."""
    room = max(0, FRAGMENT_LENGTH - (core.end - core.start))
    start = max(0, min(core.start - room // 2, len(text) - FRAGMENT_LENGTH))
    start = min(start, core.start)
    return _cut(text, core, _Span(start, max(core.end, min(len(text), start + FRAGMENT_LENGTH))))


def _cut(text: str, core: _Span, span: _Span) -> _Span:
    """Return a span made smaller, but not than its core, so that it begins and ends between words."""
    start, end = span
    if start and not text[start - 1].isspace():
        space = re.compile(r"\s").search(text, start, min(core.start, start + _SLACK))
        start = space.end() if space else start
    while start < core.start and (text[start].isspace() or _is_inside(text, start)):
        start += 1
    if end < len(text) and not text[end].isspace():
        spaces = [place for place in range(max(core.end, end - _SLACK), end) if text[place].isspace()]
        end = spaces[-1] if spaces else end
    while end > core.end and (text[end - 1].isspace() or _is_inside(text, end)):
        end -= 1
    return _Span(start, end)


def _is_inside(text: str, place: int) -> bool:
    """Say whether what stands before a place and after it is one character to the eye."""
    if place in (0, len(text)):
        return False
    after = text[place]
    return (
        after == _JOINS
        or text[place - 1] == _JOINS
        or ord(after) in _SKIN_TONES
        or unicodedata.category(after) in ("Mn", "Mc", "Me")
    )


def _merged(spans: list[_Span]) -> list[_Span]:
    """Join spans that touch or overlap; they are sorted."""
    merged = spans[:1]
    for span in spans[1:]:
        last = merged[-1]
        if span.start <= last.end:
            merged[-1] = _Span(last.start, max(last.end, span.end))
        else:
            merged.append(span)
    return merged


def _marked(text: str, span: _Span, words: list[_Word]) -> str:
    parts: list[str] = []
    place = span.start
    for word in words:
        start, end = max(word.start, span.start), min(word.end, span.end)
        if start < end:
            parts += [html.escape(text[place:start]), "<mark>", html.escape(text[start:end]), "</mark>"]
            place = end
    parts.append(html.escape(text[place : span.end]))
    return "".join(parts)
