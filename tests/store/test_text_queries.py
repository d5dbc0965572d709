"""What a text query means, and that no text whatever is too much for it."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NewCollection
from tests.support import HOSTILE_TEXTS, WORDS, HashedEmbedder
from tests.text_oracle import Oracle, assert_same
from vectordb import Collection, VectorDB
from vectordb.errors import InvalidInput, InvalidText

TEXTS = {
    "cats": "the cat sat on the mat",
    "hot dog": "a hot dog with mustard",
    "dog": "the dog is hot today",
    "dogs": "dogs run, dogs bark",
    "both": "a cat and a dog",
    "nothing": "",
}


def store(docs: Collection, texts: dict[str, str]) -> None:
    docs.upsert_vectors(list(texts), np.ones((len(texts), docs.dimensions)), contents=list(texts.values()))


@pytest.fixture(scope="module")
def simple(home: VectorDB) -> Collection:
    """Texts, only to be read, without stemming and stop words."""
    docs = home.create_collection("query_simple", embedder=HashedEmbedder(), index=None, text_config="simple")
    store(docs, TEXTS)
    return docs


@pytest.fixture(scope="module")
def english(home: VectorDB) -> Collection:
    """The same texts, with both."""
    docs = home.create_collection("query_english", embedder=HashedEmbedder(), index=None)
    store(docs, TEXTS)
    return docs


def found(docs: Collection, query: str, mode: str = "text") -> set[str]:
    return {hit.document_id for hit in docs.search(query, mode=mode)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cat", {"cats", "both"}),
        ("CAT mustard", {"cats", "both", "hot dog"}),
        ("cat cat", {"cats", "both"}),
        ("cat or mustard", {"cats", "both", "hot dog"}),
        ("cat OR mustard", {"cats", "both", "hot dog"}),
        ('"hot dog"', {"hot dog"}),
        ('"dog hot"', set()),
        ('"hot dog" cat', {"hot dog"}),
        ('cat or "hot dog"', {"cats", "both", "hot dog"}),
        ('"hot dog" "with mustard"', {"hot dog"}),
        ('"hot dog" "cat sat"', set()),
        ('"hot dog" or "cat sat"', {"hot dog", "cats"}),
        ('"hot dog', {"hot dog"}),
        ('mustard "', {"hot dog"}),
        ('"" cat', {"cats", "both"}),
        ('""', set()),
        ("dog -hot", {"both"}),
        ("-hot dog", {"both"}),
        ('dog -"hot dog"', {"dog", "both"}),
        ('dog -"hot', {"both"}),
        ('dog -""', {"dog", "both", "hot dog"}),
        ("dog -", {"dog", "both", "hot dog"}),
        ("-cat", set()),
        ("-cat -dog", set()),
        ("cat -cat", set()),
        ("cat -dog or mustard", {"cats", "hot dog"}),
        ("mustard or cat -dog", {"cats", "hot dog"}),
        ("or", set()),
        ("or cat", {"cats", "both"}),
        ("cat or", {"cats", "both"}),
        ("cat or or mustard", {"cats", "both", "hot dog"}),
        ('cat "or" dog', set()),
        ("cat & dog", {"cats", "both", "dog", "hot dog"}),
        ("cat|dog", {"cats", "both", "dog", "hot dog"}),
        ("!cat", {"cats", "both"}),
        ("hot <-> dog", {"dog", "hot dog", "both"}),
        ("ca:*", set()),
        ("cat:*", {"cats", "both"}),
        ("(cat", {"cats", "both"}),
        ("cat'", {"cats", "both"}),
        ("cat\\", {"cats", "both"}),
        ("cat:B", {"cats", "both"}),
        ("  cat\t\n", {"cats", "both"}),
        ("mat—sat", {"cats"}),
    ],
)
def test_the_meaning(simple: Collection, query: str, expected: set[str]) -> None:
    assert found(simple, query) == expected
    # By vector every text is found that a query does not exclude.
    kept = found(simple, query, "hybrid")
    assert expected <= kept
    assert kept == set(TEXTS) or '"' in query or "-" in query


def test_words_are_stemmed_and_stop_words_left_out(english: Collection) -> None:
    assert found(english, "cats") == {"cats", "both"}
    assert found(english, "the dog barking") == {"dog", "dogs", "both", "hot dog"}
    assert found(english, '"dogs running"') == {"dogs"}
    assert found(english, '"dogs ran"') == set()
    assert found(english, '"dog runs"') == {"dogs"}
    assert found(english, '"sat on the mat"') == {"cats"}
    assert found(english, 'cat -"the"') == {"cats", "both"}
    assert found(english, "the or -cat dog") == {"dog", "dogs", "hot dog"}


@pytest.mark.parametrize(
    "query", ["the", "the and of", "?!", "...", "-", '"', '""', "-the", '"the of"', "or", "\U0001f600"]
)
def test_nothing_to_look_for(english: Collection, query: str) -> None:
    """By words nothing is found; the vector finds what it finds."""
    assert len(english.search(query, mode="text")) == 0
    hits = english.search(query, mode="hybrid", limit=3)
    assert len(hits) == 3
    for hit in hits:
        assert (hit.text_score, hit.text_rank) == (0.0, None)
        assert hit.score == pytest.approx(0.5 * (hit.vector_score or 0))


def test_in_hybrid_both_halves_keep_to_it(simple: Collection) -> None:
    assert found(simple, '"hot dog"', "hybrid") == {"hot dog"}
    assert found(simple, "-cat", "hybrid") == set(TEXTS) - {"cats", "both"}
    assert found(simple, "dog -hot", "hybrid") == set(TEXTS) - {"dog", "hot dog"}
    assert found(simple, "mustard or dog -hot", "hybrid") == {"both", "hot dog"}
    assert found(simple, "dog cat", "hybrid") == set(TEXTS)


@pytest.mark.parametrize("mode", ["text", "hybrid", None])
def test_what_is_no_query(simple: Collection, mode: str | None) -> None:
    for query in ("", " ", "\n\t", "a\x00b", "\ud800"):
        with pytest.raises(InvalidInput):
            simple.search(query, mode=mode)
    with pytest.raises(InvalidText):
        simple.search("a\x00", mode=mode)


# Against a reader of the same syntax in Python.

LETTERS = ["a", "b", "c", "d"]
WORD = st.sampled_from([*LETTERS, "z"])
PHRASE = st.lists(WORD, min_size=1, max_size=3)
PART = st.tuples(
    st.lists(WORD, max_size=3), st.lists(PHRASE, max_size=2), st.lists(WORD, max_size=1), st.lists(PHRASE, max_size=1)
)


@pytest.fixture(scope="module")
def letters(home: VectorDB) -> tuple[Collection, dict[str, list[str]]]:
    docs = home.create_collection("query_letters", dimensions=2, index=None, text_config="simple")
    dice = random.Random(2)
    texts = {str(n): dice.choices(LETTERS, k=dice.randint(1, 6)) for n in range(300)}
    store(docs, {id: " ".join(text) for id, text in texts.items()})
    return docs, texts


def has(text: list[str], phrase: list[str]) -> bool:
    return any(text[start : start + len(phrase)] == phrase for start in range(len(text)))


def allows(part: Any, text: list[str]) -> bool:
    words, phrases, without, without_phrases = part
    if any(word in text for word in without) or any(has(text, phrase) for phrase in without_phrases):
        return False
    if phrases:
        return all(has(text, phrase) for phrase in phrases)
    return not words or any(word in text for word in words)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PART, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_any_combination(
    home: VectorDB, letters: tuple[Collection, dict[str, list[str]]], parts: list[Any], dice: random.Random
) -> None:
    docs, texts = letters
    written, wanted = [], []
    parts = [part for part in parts if any(part)]
    for words, phrases, without, without_phrases in parts:
        pieces = [*words, *(f'"{" ".join(phrase)}"' for phrase in phrases)]
        pieces += [*(f"-{word}" for word in without), *(f'-"{" ".join(phrase)}"' for phrase in without_phrases)]
        dice.shuffle(pieces)
        written.append(" ".join(pieces))
        wanted += [*words, *(word for phrase in phrases for word in phrase)]
    query = " or ".join(written)
    if not query:
        return
    demanding = any(any(part[1:]) for part in parts)
    allowed = {id for id, text in texts.items() if not demanding or any(allows(part, text) for part in parts)}
    expected = Oracle.now(home, docs).best({word: wanted.count(word) for word in wanted}, 20, allowed)
    assert_same(docs.search(query, mode="text", limit=20), expected, query)


# Texts that are too much.


def test_a_hundred_thousand_words(simple: Collection) -> None:
    """Only the beginning of a query counts."""
    assert found(simple, "mustard " + "word " * 100_000) == {"hot dog"}
    assert found(simple, "word " * 100_000 + "mustard") == set()
    many = " ".join(f"{n:x}" for n in range(100_000))
    for query in (many, f"mustard {many}", many.replace(" ", " -"), many.replace(" ", " or "), f'"{many}'):
        simple.search(query, mode="text")
        simple.search(query, mode="hybrid")
    assert found(simple, many.replace(" ", " or -")) == set()


def test_scripts_and_signs(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=2, text_config="simple")
    texts = {
        "cjk": "東京 都庁",
        "accents": "Ünïcödé naïve café",
        "arabic": "مرحبا بالعالم",
        "emoji": "\U0001f600 smile \U0001f468\u200d\U0001f469",
        "quotes": "O'Neil said \"it's\" back\\slash 'quoted' a''b",
        "url": "see https://example.com/a/b?c=d&e=f or me@example.com v1.2.3 -17.5 C:\\dir\\file",
        "model": "XK-2000/b part_no A-1 foo-bar-baz",
    }
    store(docs, texts)
    for query, expected in {
        "東京": "cjk",
        "café": "accents",
        "مرحبا": "arabic",
        "smile": "emoji",
        "O'Neil": "quotes",
        "slash": "quotes",
        "me@example.com": "url",
        "https://example.com/a/b?c=d&e=f": "url",
        "v1.2.3": "url",
        "C:\\dir\\file": "url",
        "xk-2000/b": "model",
        "foo-bar-baz": "model",
        '"foo-bar-baz"': "model",
        "baz": "model",
    }.items():
        assert docs.search(query, mode="text")[0].document_id == expected, query


def test_long_words(home: VectorDB, new_collection: NewCollection) -> None:
    """Longer than the index can tell apart, and longer than PostgreSQL keeps."""
    docs = new_collection(dimensions=2, text_config="simple")
    texts = {f"{size} {last}": "x" * size + last + " end" for size in (199, 200, 1_000, 2_044) for last in "abc"}
    texts |= {f"wide {last}": "\U00010428" * 400 + last for last in "\U00010428\U00010429"}
    texts |= {"too long": "y" * 2_047, "far too long": "y" * 3_000_000}
    store(docs, texts)
    for id, text in texts.items():
        word = text.split()[0]
        expected = set() if "too long" in id else {id}
        for query in (word, f'"{word}"', f"never {word}", f"-never {word}"):
            assert found(docs, query) == expected, id
    assert len(docs.search("end -never", mode="text", limit=100)) == 12


def test_long_words_that_are_common(home: VectorDB, new_collection: NewCollection) -> None:
    """The condition that prunes holds each of them many times."""
    docs = new_collection(dimensions=2, index=None, text_config="simple")
    wide = [chr(0x10428 + n) * 250 + chr(0x10428 + n) for n in range(8)]
    dice = random.Random(1)
    store(docs, {str(n): " ".join(dice.sample(wide, dice.randint(1, 4))) for n in range(1_000)})
    reference = Oracle.now(home, docs)
    for count in range(1, 9):
        expected = reference.best(dict.fromkeys(wide[:count], 1), 3)
        assert_same(docs.search(" ".join(wide[:count]), mode="text", limit=3), expected, count)


def test_long_texts(home: VectorDB, new_collection: NewCollection) -> None:
    """Of a text the first 100,000 characters count, and no text is too long or too varied to be stored."""
    docs = new_collection(dimensions=2, text_config="simple")
    letter = "\U00010428"
    texts = {
        "distinct": " ".join(f"n{n}" for n in range(200_000)),
        "far": "filler " * 15_000 + "needle",
        "near": "filler " * 14_000 + "needle",
        "wide": " ".join(f"{letter * (n % 20 + 1)}{n}" for n in range(30_000)),
        "hyphens": " ".join(
            "-".join(letter * 3 + chr(0x10430 + (n * k) % 30) for k in range(1, 9)) for n in range(9_000)
        ),
        "addresses": " ".join(f"http://h{n}.example.com/{n}/{n}" for n in range(9_000)),
        "one word": "z" * 500_000,
        "hyphen": "ab-" * 400_000,
    }
    store(docs, texts)
    assert found(docs, "needle") == {"near"}
    assert found(docs, "n77") == {"distinct"}
    assert found(docs, "n199999") == set()
    assert_same(docs.search("filler n5", mode="text"), Oracle.now(home, docs).best({"filler": 1, "n5": 1}))
    docs.upsert_vectors(list(texts), np.ones((len(texts), 2)), contents=[text[7:] for text in texts.values()])
    docs.delete(list(texts))
    assert found(docs, "needle filler") == set()


ANYTHING = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)
SIGNS = [*"ab \"-'&|!<>():*\\", " or ", "é", "\x01", "\u2028", "\ufeff", "%s"]
SYNTAX = st.lists(st.sampled_from(SIGNS), max_size=40).map("".join)
MODES = st.sampled_from(["text", "hybrid", None])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(ANYTHING, SYNTAX, st.sampled_from([*HOSTILE_TEXTS, *WORDS])), MODES, st.booleans())
def test_any_text_at_all(simple: Collection, query: str, mode: str | None, highlight: bool) -> None:
    if not query.strip():
        return
    for hit in simple.search(query, mode=mode, highlight=highlight):
        assert hit.document_id in TEXTS


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(ANYTHING, SYNTAX), min_size=1, max_size=5))
def test_any_text_is_found_by_itself(home: VectorDB, any_text: Collection, texts: list[str]) -> None:
    """A text that has a lexeme is among those that its own words find."""
    any_text.upsert_vectors([str(n) for n in range(5)], np.ones((5, 2)), contents=[*texts, *[""] * 5][:5])
    reference = Oracle.now(home, any_text)
    for n, text in enumerate(texts):
        words = " ".join(part for part in text.replace('"', " ").split() if not part.startswith("-"))
        if words.lower() == text.lower() and (str(n), 0) in reference.keys and " or " not in f" {words.lower()} ":
            assert str(n) in found(any_text, words), text


@pytest.fixture(scope="module")
def any_text(home: VectorDB) -> Collection:
    return home.create_collection("any_text", dimensions=2, index=None, text_config="simple")


def test_every_character(simple: Collection) -> None:
    """Of each kind of character some, within words and alone."""
    kinds: dict[str, list[str]] = {}
    for code in range(1, sys.maxunicode, 7):
        kinds.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    kinds.pop("Cs")
    for characters in kinds.values():
        for character in characters[:: max(1, len(characters) // 5)]:
            for query in (f"cat {character}", f"cat{character}dog", f'"cat {character}'):
                simple.search(query, mode="text")
