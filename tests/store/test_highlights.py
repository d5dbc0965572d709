"""Highlights of real values of PostgreSQL."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectordb.search.highlights import JOINER, MAX_CHARACTERS, highlight_expression, to_html

MARKUP = ["<", ">", "</", "/>", "&", "&lt;", "&#x27;", '"', "'", "<b>", "<mark>", "</mark>", "<!--", "-->", "<![CDATA["]
MARKUP += ["<script>alert(1)</script>", '<img src=x onerror="cat">', "javascript:cat", "\\", "%s", "E'", ";--"]
TOKENS = ["http://cat.com/cat?a=1&b=2", "cat@dog.org", "/usr/cat", "cat-dog-2", "-1.5e7", "3.14", "state_of", "it's"]
OTHER = [
    "\x01",
    "\x02",
    "\x04",
    "\x05",
    "\x04<x>",
    "\x1a",
    "\x07",
    "\x0b",
    "\x85",
    "\n",
    "\t",
    "\u00a0",
    "\u200b",
    "\u2028",
]
OTHER += ["👩🏽‍🚀", "🚂", "e\u0301", "שלום", "\u202eאבג\u202c", "漢字", "भाषा", "ﬁ", "İ", "ẞ", "\ufdd0", "\uffff"]
WORDS = ["cat", "Cats", "dog", "mats", "the", "running", *MARKUP, *TOKENS, *OTHER]
RUNS = st.builds(lambda unit, count: unit * count, st.sampled_from([*WORDS, " ", "- ", ". ", "x", "█ "]), st.just(2100))
TEXTS = st.lists(
    st.sampled_from(WORDS) | st.sampled_from([" ", " ", ", "]) | st.text(max_size=8) | st.integers(0, 9).map(str),
    max_size=80,
).map("".join)
SHOWN = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r\f"}


@pytest.fixture(scope="module")
def connection(home_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(home_url, autocommit=True) as connection:
        yield connection


def marked(connection: psycopg.Connection, text: str, query: str, config: str = "english") -> str:
    expression = highlight_expression("c.content", "%(config)s::regconfig", "%(query)s::tsquery")
    row = connection.execute(
        f"SELECT {expression} FROM (VALUES (%(text)s::text)) AS c(content)",
        {"config": config, "query": query, "text": text},
    ).fetchone()
    assert row is not None
    return str(row[0])


def highlight(connection: psycopg.Connection, text: str, query: str, config: str = "english") -> str:
    return to_html(marked(connection, text, query, config))


def visible(markup: str) -> str:
    return html.unescape(re.sub("</?mark>", "", markup))


def storable(text: str) -> bool:
    return "\0" not in text and "…" not in text and not re.search("[\ud800-\udfff]", text)


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("The cats were running.", "'cat' | 'run'", "The <mark>cats</mark> were <mark>running</mark>."),
        ("Cat-food", "'cat'", "<mark>Cat</mark>-food"),
        ("<b>cat</b>", "'cat'", "&lt;b&gt;<mark>cat</mark>&lt;/b&gt;"),
        ("<img alt='cat'>", "'cat'", "&lt;img alt=&#x27;<mark>cat</mark>&#x27;&gt;"),
        ("a &lt; b &amp; cat", "'cat'", "a &amp;lt; b &amp;amp; <mark>cat</mark>"),
        ("1 < 2 cats > 0", "'cat'", "1 &lt; 2 <mark>cats</mark> &gt; 0"),
        ("\x01cat\x02\x04<x>\x05", "'dog'", "\ufffdcat\ufffd\ufffd&lt;x&gt;\ufffd"),
        ("a cat, no dog", "'cat' & !'dog'", "a <mark>cat</mark>, no <mark>dog</mark>"),
        ("a fat cat", "'fat' <-> 'rat'", "a <mark>fat</mark> cat"),
        ("a cat", "", "a cat"),
        ("", "'cat'", ""),
    ],
)
def test_words_are_marked_by_their_lexemes(
    connection: psycopg.Connection, text: str, query: str, expected: str
) -> None:
    assert highlight(connection, text, query) == expected


def test_the_configuration_decides_what_a_word_is(connection: psycopg.Connection) -> None:
    assert highlight(connection, "Die Häuser", "'haus'", "german") == "Die <mark>Häuser</mark>"
    assert highlight(connection, "cats cat", "'cat'", "simple") == "cats <mark>cat</mark>"


@pytest.mark.parametrize(
    "unit", ["x", "- ", " ", ". ", "漢", "🚂", "🚂 ", "<a b=c ", "/x.y", "\x04", "a-", "&amp;", "_"]
)
def test_nothing_is_lost_of_a_text_with_endless_tokens(connection: psycopg.Connection, unit: str) -> None:
    text = f"cat {unit * 2_500} dog"
    notices: list[str | None] = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    raw = marked(connection, text, "'cat' | 'dog'")
    kept = raw.replace("\x01", "").replace("\x02", "").replace("\x04<x>", "").replace("\x05", "<")
    assert kept == text.replace("\x04", "\x1a")
    assert notices == []
    assert to_html(raw).count("<mark>") == 2


def test_hits_are_found_up_to_the_limit_of_a_very_long_text(connection: psycopg.Connection) -> None:
    filler = "lorem ipsum " * (MAX_CHARACTERS // 12 - 10)
    assert "<mark>cat</mark>" in highlight(connection, f"{filler}cat {filler * 5}", "'cat'")
    shown = highlight(connection, f"{filler * 2}cat", "'cat'")
    assert shown.startswith("lorem")
    assert len(shown) < 310


@settings(max_examples=300, deadline=None)
@given(
    text=st.builds("".join, st.lists(TEXTS | RUNS, max_size=3)).filter(storable),
    query=st.sampled_from(["'cat'", "'cat' | 'dog' | 'mat'", "'x'", "'/script' | 'alert' | 'b'", "'cat.com' | 'run'"]),
)
def test_the_html_holds_nothing_but_marks_and_parts_of_the_text(
    connection: psycopg.Connection, text: str, query: str
) -> None:
    shown = highlight(connection, text, query)
    rest = re.sub("<mark>[^<>]+</mark>", "", shown)
    assert not re.search("[<>\"']", rest)
    assert not re.search("&(?!amp;|lt;|gt;|quot;|#x27;)", shown)
    whole = text.translate(SHOWN)
    fragments = visible(shown).removeprefix("… ").removesuffix(" …").split(JOINER)
    assert all(fragment in whole for fragment in fragments)
    assert bool(whole.strip()) == bool(shown)
    for word in re.findall("<mark>([^<>]+)</mark>", shown):
        assert any(stem in html.unescape(word).lower() for stem in re.findall("'(.*?)'", query))
