from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vectordb import FunctionEmbedder, SentenceTransformerEmbedder
from vectordb.errors import ConfigurationError, EmbeddingError, InvalidInput
from vectordb.rerankers import MaxSim, rerank_scores

QUERY = "How do I catch an error?"
TEXTS = [
    "A cat sits on the mat.",
    "When an exception occurs in the try block, the except clause handles it.",
    "Error",
    "Trains run on rails. " * 20,
    "日本語 🚂",
]


def slowly(model: SentenceTransformerEmbedder, query: str, texts: Sequence[str]) -> list[float]:
    """Compute the score one text at a time, from the network itself."""

    def tokens(text: str) -> NDArray[np.float64]:
        vectors = model._load().network.model.encode(text, output_value="token_embeddings").numpy()[1:-1]
        return np.array([vector / np.linalg.norm(vector) for vector in vectors.astype(np.float64)])

    asked = tokens(query)
    return [float(np.mean([max(tokens(text) @ token) for token in asked])) for text in texts]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_scores_are_the_mean_of_the_greatest_cosines(model: SentenceTransformerEmbedder, batch_size: int) -> None:
    scores = rerank_scores(MaxSim(model, batch_size=batch_size), QUERY, TEXTS)
    np.testing.assert_allclose(scores, slowly(model, QUERY, TEXTS), atol=1e-5)
    assert set(np.argsort(-scores)[:2]) == {1, 2}


def test_texts_of_similar_length_share_a_batch(
    model: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    embed_tokens = SentenceTransformerEmbedder.embed_tokens

    def spy(self: SentenceTransformerEmbedder, texts: list[str], **options: Any) -> Any:
        batches.append(texts)
        return embed_tokens(self, texts, **options)

    monkeypatch.setattr(SentenceTransformerEmbedder, "embed_tokens", spy)
    MaxSim(model, batch_size=2)("cats", ["a", "a cat and a dog", "a cat", "the cat and the dog"])
    assert batches == [["cats"], ["the cat and the dog", "a cat and a dog"], ["a cat", "a"]]


def test_a_text_equal_to_the_query_scores_one(model: SentenceTransformerEmbedder) -> None:
    assert MaxSim()(QUERY, [QUERY]) == pytest.approx([1.0], abs=1e-6)


def test_long_texts_are_cut_and_empty_ones_score_least(model: SentenceTransformerEmbedder) -> None:
    reranker = MaxSim(model)
    long = "word " * 5_000
    cut, also_cut, empty, blank = reranker(QUERY, [f"{long} error", long, "", " \n"])
    assert cut == pytest.approx(also_cut)
    assert [empty, blank] == [-1.0, -1.0]
    assert reranker("", TEXTS).tolist() == [-1.0] * len(TEXTS)
    assert reranker(long, TEXTS).shape == (len(TEXTS),)
    assert reranker(QUERY, []).shape == (0,)


def test_prompts_are_read_but_the_frame_is_left_out(model: SentenceTransformerEmbedder) -> None:
    prompted = SentenceTransformerEmbedder(document_prompt="passage: ")
    [plain] = model.embed_tokens(["a cat"])
    [own] = prompted.embed_tokens(["a cat"])
    [query] = prompted.embed_tokens(["a cat"], input_type="query")
    assert [len(plain), len(own), len(query)] == [2, 4, 2]
    assert model.embed_tokens([]) == []
    assert len(model.embed_tokens(["🚂"])[0]) == 1


def test_what_has_no_vectors_of_tokens_is_refused(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    static = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], device="cpu")
    static.save(str(tmp_path / "static"), create_model_card=False)
    with pytest.raises(EmbeddingError, match="makes no vectors of tokens"):
        MaxSim(tmp_path / "static")("cat", ["cat"])
    shutil.rmtree(tmp_path / "static")
    with pytest.raises(InvalidInput, match="only a SentenceTransformerEmbedder has; not FunctionEmbedder"):
        MaxSim(FunctionEmbedder(lambda texts: texts))  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ConfigurationError, match="batch_size"):
        MaxSim(batch_size=0)
