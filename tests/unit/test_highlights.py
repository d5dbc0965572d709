"""The choice of fragments and their escaping, from texts as PostgreSQL marks them."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.search.highlights import BEGINNING_LENGTH, FRAGMENT_LENGTH, JOINER, MAX_FRAGMENTS, to_html

FILLER = "lorem ipsum dolor sit amet consetetur sadipscing elitr " * 20


def marked(text: str, *words: str) -> str:
    """Mark words as PostgreSQL does; `|` in the text would divide a long token."""
    found = re.sub("|".join(map(re.escape, words)), "\x01\\g<0>\x02", text) if words else text
    return found.replace("<", "\x05").replace("|", "\x04<x>")


def visible(markup: str) -> str:
    return html.unescape(re.sub("</?mark>", "", markup))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n", ""),
        ("The cat sat.", "The <mark>cat</mark> sat."),
        ("cat", "<mark>cat</mark>"),
        ("cat cat", "<mark>cat</mark> <mark>cat</mark>"),
        ("  the cat  ", "the <mark>cat</mark>"),
        ("<script>cat</script>", "&lt;script&gt;<mark>cat</mark>&lt;/script&gt;"),
        ("""<a title='cat' x="&lt;">""", "&lt;a title=&#x27;<mark>cat</mark>&#x27; x=&quot;&amp;lt;&quot;&gt;"),
        ("</mark><mark>cat", "&lt;/mark&gt;&lt;mark&gt;<mark>cat</mark>"),
        ("no hit & no <tag>", "no hit &amp; no &lt;tag&gt;"),
        ("a|bc|cat", "abc<mark>cat</mark>"),
        ("bell\x07 \x1a \x9b cat\ttab\n", "bell� � � <mark>cat</mark>\ttab"),
        ("שלום cat 👩🏽‍🚀", "שלום <mark>cat</mark> 👩🏽‍🚀"),
    ],
)
def test_all_of_a_short_text_is_shown_and_escaped(text: str, expected: str) -> None:
    assert to_html(marked(text, "cat")) == expected


def test_a_text_without_a_hit_is_shown_from_its_beginning_to_the_end_of_a_word() -> None:
    shown = to_html(FILLER)
    assert FILLER.startswith(shown.removesuffix(" …"))
    assert BEGINNING_LENGTH - 25 <= len(shown) <= BEGINNING_LENGTH + 2
    assert shown.split()[-2] in FILLER.split()


def test_a_fragment_surrounds_its_hit_and_ends_between_words() -> None:
    shown = to_html(marked(f"{FILLER}cat {FILLER}", "cat"))
    before, after = shown.removeprefix("… ").removesuffix(" …").split("<mark>cat</mark>")
    assert FRAGMENT_LENGTH - 50 <= len(before) + 3 + len(after) <= FRAGMENT_LENGTH
    assert abs(len(before) - len(after)) <= 30
    assert {*before.split(), *after.split()} <= {*FILLER.split()}


def test_fragments_with_more_of_the_words_are_preferred_and_stay_in_order() -> None:
    alone = f"{FILLER}cat {FILLER}cat {FILLER}cat {FILLER}"
    shown = to_html(marked(f"{alone}a cat and a dog {FILLER}a bird {FILLER}", "cat", "dog", "bird"))
    fragments = shown.removeprefix("… ").removesuffix(" …").split(JOINER)
    assert [re.findall("<mark>(.*?)</mark>", fragment) for fragment in fragments] == [["cat"], ["cat", "dog"], ["bird"]]


def test_fragments_that_meet_become_one() -> None:
    near = f"cat {FILLER[:100]} dog {FILLER[:100]} bird"
    shown = to_html(marked(near, "cat", "dog", "bird"))
    assert visible(shown) == near
    assert shown.count("<mark>") == 3


def test_text_without_spaces_is_cut_beside_whole_characters() -> None:
    family = "👩🏽‍🚀"
    shown = to_html(marked(family * 100 + "cat" + "é" * 300, "cat"))
    assert re.fullmatch(f"… (?:{family})+<mark>cat</mark>(?:é)+ …", shown)


def test_a_word_longer_than_a_fragment_is_shown_whole() -> None:
    word = "x" * (2 * FRAGMENT_LENGTH)
    assert to_html(marked(f"{FILLER}{word} {FILLER}", word)) == f"… <mark>{word}</mark> …"


@given(st.text("ab <>&'\"\n\x01\x02\x04\x05é👩\u200d", max_size=600), st.integers(1, 5))
def test_only_marks_are_markup_and_fragments_are_parts_of_the_text(text: str, length: int) -> None:
    # The four controls stand for our own marks: here they are made to occur as in the values of the database.
    text = re.sub("[\x01\x02\x04\x05]", "a" * length, text)
    shown = to_html(marked(text, "a" * length))
    rest = re.sub("<mark>[^<>]+</mark>", "", shown)
    assert not re.search("[<>\"']", rest)
    assert visible(shown).count("…") <= MAX_FRAGMENTS + 1
    for fragment in visible(shown).removeprefix("… ").removesuffix(" …").split(JOINER):
        assert fragment in text
    assert ("<mark>" in shown) == ("a" * length in text)
