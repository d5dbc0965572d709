from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rerankers.conftest import LONGEST, save_cross_encoder
from vectordb.embedders import DEFAULT_MODEL, SentenceTransformerEmbedder
from vectordb.errors import ConfigurationError, InvalidInput, MissingDependency, RerankingError
from vectordb.rerankers import CrossEncoder, rerank_scores

QUERY = "the cat"
TEXTS = ["a dog barks", "", "cat " * 100, "the cat purrs on the mat and a train on rails", "dog", "🚂", "a dog barks"]


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def plain_scores(folder: Path, query: str, texts: list[str]) -> list[float]:
    import sentence_transformers

    model = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    return [float(model.predict([(query, text)])[0]) for text in texts]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_scores_are_those_of_sentence_transformers_in_the_order_of_the_texts(
    cross_folder: Path, batch_size: int
) -> None:
    scores = rerank_scores(CrossEncoder(cross_folder, device="cpu", batch_size=batch_size), QUERY, TEXTS)
    np.testing.assert_allclose(scores, plain_scores(cross_folder, QUERY, TEXTS), atol=1e-5)
    assert len({*scores.round(6)}) == len({*TEXTS})


def test_texts_of_similar_length_share_a_batch(cross_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = CrossEncoder(cross_folder, device="cpu", batch_size=2)
    model = reranker._load().model
    batches: list[list[str]] = []
    preprocess = model.preprocess

    def spy(batch: list[tuple[str, str]], *args: Any, **options: Any) -> Any:
        batches.append([text for _, text in batch])
        return preprocess(batch, *args, **options)

    monkeypatch.setattr(model, "preprocess", spy)
    reranker(QUERY, ["a", "a cat and a dog", "a cat", "the cat and the dog", "the cat", "dog"])
    assert batches == [["the cat and the dog", "a cat and a dog"], ["the cat", "a cat"], ["dog", "a"]]


def test_the_activation_that_the_model_was_saved_with_counts(cross_folder: Path, tmp_path: Path) -> None:
    squashed = save_cross_encoder(tmp_path / "sigmoid", tmp_path / "base", activation="Sigmoid")
    raw = CrossEncoder(cross_folder, device="cpu")(QUERY, TEXTS)
    np.testing.assert_allclose(CrossEncoder(squashed, device="cpu")(QUERY, TEXTS), 1 / (1 + np.exp(-raw)), atol=1e-5)
    assert not ((raw >= 0) & (raw <= 1)).all()


def test_long_texts_are_cut_at_their_end(cross_folder: Path) -> None:
    read = "cat " * (LONGEST - 3 - len(QUERY.split()))
    cut, also_cut, shorter = CrossEncoder(cross_folder, device="cpu")(
        QUERY, [f"{read} dog mat", f"{read} train rails", read[:-4]]
    )
    assert cut == pytest.approx(also_cut)
    assert cut != pytest.approx(shorter)
    [short, same] = CrossEncoder(cross_folder, device="cpu", max_length=8)(QUERY, [read, "cat " * 3])
    assert short == pytest.approx(same)


def test_no_texts_load_nothing() -> None:
    assert CrossEncoder("org/absent")("q", []).shape == (0,)


def test_a_model_is_loaded_once_for_all_threads_and_rerankers(
    cross_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentence_transformers

    loaded: list[object] = []
    original = sentence_transformers.CrossEncoder

    def load(*args: Any, **options: Any) -> Any:
        loaded.append(args)
        return original(*args, **options)

    monkeypatch.setattr(sentence_transformers, "CrossEncoder", load)
    rerankers = [CrossEncoder(cross_folder, device="cpu", max_length=31) for _ in range(2)]
    expected = rerankers[0](QUERY, TEXTS)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda number: rerankers[number % 2](QUERY, TEXTS[: number % 7 + 1]), range(40)))
    for number, result in enumerate(results):
        np.testing.assert_allclose(result, expected[: number % 7 + 1], atol=1e-5)
    assert len(loaded) == 1


def test_nothing_heavy_is_loaded_before_the_first_text_and_nothing_is_printed(cross_folder: Path) -> None:
    program = (
        "import sys\n"
        "def heavy(): print(*sorted({'sentence_transformers', 'torch', 'transformers'} & {*sys.modules}))\n"
        "from vectordb.rerankers import BiEncoderReranker, CrossEncoder, MaxSim\n"
        f"BiEncoderReranker('a/b'), MaxSim(); reranker = CrossEncoder({str(cross_folder)!r}, device='cpu')\n"
        "print(reranker)\n"
        "heavy()\n"
        "print(reranker('the cat', ['a dog']).shape)\n"
        "heavy()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"CrossEncoder({str(cross_folder)!r})",
        "",
        "(1,)",
        "sentence_transformers torch transformers",
    ]


def test_names_belong_to_cross_encoders(tmp_path: Path) -> None:
    assert repr(CrossEncoder("ms-marco-MiniLM-L6-v2")) == "CrossEncoder('cross-encoder/ms-marco-MiniLM-L6-v2')"
    assert repr(CrossEncoder("BAAI/bge-reranker-base")) == "CrossEncoder('BAAI/bge-reranker-base')"
    with pytest.raises(RerankingError, match=r"'cross-encoder/absent' at revision 'v2' is not in the cache") as caught:
        CrossEncoder("absent", revision="v2", cache_folder=tmp_path, local_files_only=True)("q", ["a"])
    assert caught.value.facts == {"model": "cross-encoder/absent", "revision": "v2"}
    with pytest.raises(RerankingError, match="there is no model in the folder"):
        CrossEncoder(tmp_path)("q", ["a"])


def test_options_are_checked_at_once() -> None:
    with pytest.raises(ConfigurationError, match="batch_size is at least 1, not 0"):
        CrossEncoder("a/b", batch_size=0)
    with pytest.raises(ConfigurationError, match="max_length is at least 1, not -5"):
        CrossEncoder("a/b", max_length=-5)
    with pytest.raises(ConfigurationError, match="name of the model is empty"):
        CrossEncoder("")
    for query, texts in (("q", "text"), ("q", ["a", 1]), (None, ["a"])):
        with pytest.raises(InvalidInput):
            CrossEncoder("a/b")(query, texts)  # type: ignore[arg-type]  # the mistake under test


def test_an_embedding_model_is_refused_and_a_cross_encoder_makes_no_embeddings(cross_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a SentenceTransformer, not a cross-encoder"):
        CrossEncoder(DEFAULT_MODEL)("q", ["a"])
    with pytest.raises(ConfigurationError, match="is a CrossEncoder, not an embedding model"):
        SentenceTransformerEmbedder(cross_folder).embed(["a"])


def test_a_model_that_does_not_say_what_it_is_counts_by_its_architecture(copy_of_cross: Path) -> None:
    for file in ("config_sentence_transformers.json", "modules.json"):
        (copy_of_cross / file).unlink()
    assert CrossEncoder(copy_of_cross, device="cpu")(QUERY, TEXTS).shape == (len(TEXTS),)
    change_json(copy_of_cross / "config.json", architectures=["BertModel"])
    with pytest.raises(ConfigurationError, match="not a cross-encoder"):
        CrossEncoder(copy_of_cross)("q", ["a"])


def test_more_than_one_label_is_refused(tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "three", tmp_path / "base", labels=3)
    with pytest.raises(ConfigurationError, match="has 3 labels; a reranker makes one score") as caught:
        CrossEncoder(folder, device="cpu")("q", ["a"])
    assert caught.value.facts["labels"] == 3


def test_code_of_the_model_is_refused(copy_of_cross: Path) -> None:
    change_json(copy_of_cross / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    with pytest.raises(ConfigurationError, match=r"code of its own.*\(query, texts\) -> scores"):
        CrossEncoder(copy_of_cross)("q", ["a"])


def test_pickles_are_refused(copy_of_cross: Path) -> None:
    [weights] = copy_of_cross.glob("*.safetensors")
    weights.rename(copy_of_cross / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="not in safetensors"):
        CrossEncoder(copy_of_cross)("q", ["a"])


def test_damaged_weights_are_named(copy_of_cross: Path) -> None:
    [weights] = copy_of_cross.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(RerankingError, match="cannot load the model") as caught:
        CrossEncoder(copy_of_cross, device="cpu")("q", ["a"])
    assert caught.value.__cause__ is not None


def test_the_missing_extra_is_named(cross_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependency, match=r"vectordb-postgres\[local\]"):
        CrossEncoder(cross_folder, device="cpu", max_length=30)("q", ["a"])
