from __future__ import annotations

import numpy as np
import pytest

from tests.support import HashedEmbedder
from vectordb import FunctionEmbedder, SentenceTransformerEmbedder
from vectordb.errors import ConfigurationError, EmbeddingError, InvalidInput
from vectordb.rerankers import BiEncoderReranker, rerank_scores

QUERY = "How do I catch an error?"
TEXTS = ["A cat sits on the mat.", "The except clause handles what the try block raises.", "Trains run on rails."]
FILLER = "Trains run on rails, and ships sail on the sea. " * 100


def test_scores_are_the_cosines_of_the_embedder(model: SentenceTransformerEmbedder) -> None:
    scores = rerank_scores(BiEncoderReranker(model), QUERY, TEXTS)
    expected = model.embed(TEXTS) @ model.embed([QUERY], input_type="query")[0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert int(np.argmax(scores)) == 1


def test_a_long_text_counts_as_its_best_part(model: SentenceTransformerEmbedder) -> None:
    reranker = BiEncoderReranker(model)
    long, filler, alone = reranker(QUERY, [f"{FILLER}\n\n{TEXTS[1]}\n\n{FILLER}", FILLER, TEXTS[1]])
    assert filler + 0.1 < long
    assert long <= alone + 0.05
    assert reranker(QUERY, [TEXTS[1]]) == pytest.approx([alone], abs=1e-5)


def test_queries_and_texts_are_told_apart_and_vectors_of_any_length_compared() -> None:
    kinds: list[str] = []

    def embed(texts: list[str], input_type: str) -> list[list[float]]:
        kinds.append(input_type)
        return [[3.0, 4.0] if "x" in text else [0.0, -2.0] if "y" in text else [0.0, 0.0] for text in texts]

    scores = BiEncoderReranker(FunctionEmbedder(embed, dimensions=2))("x", ["an x", "a y", "zero", " ", ""])
    np.testing.assert_allclose(scores, [1.0, -0.8, 0.0, -1.0, -1.0])
    assert sorted(kinds) == ["document", "query"]


def test_a_function_and_any_embedder_will_do() -> None:
    assert BiEncoderReranker(lambda texts: [[1.0, 0.0] for _ in texts])("q", ["a"]) == pytest.approx([1.0])
    scores = BiEncoderReranker(HashedEmbedder())("the cat", ["the cat", "a train on rails"])
    assert scores[0] == pytest.approx(1.0)
    assert scores[0] > scores[1]


def test_no_texts_and_blank_texts_embed_nothing() -> None:
    def fail(texts: list[str]) -> list[list[float]]:
        raise AssertionError(texts)

    reranker = BiEncoderReranker(FunctionEmbedder(fail))
    assert reranker("q", []).shape == (0,)
    assert reranker("q", ["", "\n"]).tolist() == [-1.0, -1.0]


def test_errors_of_the_embedder_pass_through() -> None:
    def fail(texts: list[str]) -> list[list[float]]:
        raise OSError("no network")

    with pytest.raises(EmbeddingError, match="OSError"):
        rerank_scores(BiEncoderReranker(fail), "q", ["a"])
    with pytest.raises(InvalidInput, match="not int"):
        BiEncoderReranker(3)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ConfigurationError, match="empty"):
        BiEncoderReranker("")
    assert repr(BiEncoderReranker("org/name")) == "BiEncoderReranker(SentenceTransformerEmbedder('org/name'))"
