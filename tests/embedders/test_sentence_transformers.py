from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.embedders.conftest import DOCUMENT_PROMPT, QUERY_PROMPT, WORDS
from vectordb.chunking import Chunker, Chunking
from vectordb.embedders import (
    DEFAULT_MODEL,
    EmbedderIdentity,
    InputType,
    QueryTruncated,
    SentenceTransformerEmbedder,
    model_files,
)
from vectordb.errors import ConfigurationError, EmbeddingError, InvalidInput

TEXTS = [
    "How do I catch an error?",
    "A cat sits on the mat.",
    "",
    "Trains run on rails. " * 20,
    "When an exception occurs in the try block, the except clause handles it.",
    "日本語のテキスト",
    "🚂" * 10,
]


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_heavy_is_loaded_before_the_first_text_and_nothing_is_printed() -> None:
    done = run_python(
        "import sys\n"
        "packages = {'sentence_transformers', 'tokenizers', 'torch', 'transformers'}\n"
        "def heavy(): print(*sorted(packages & {*sys.modules}))\n"
        "import vectordb.embedders as e\n"
        "default = e.SentenceTransformerEmbedder(truncate_dim=128)\n"
        "e.SentenceTransformerEmbedder('org/absent'), e.as_embedder(default)\n"
        "print(default.dimensions, default.identity.model)\n"
        "heavy()\n"
        "print(default.embed(['text']).shape)\n"
        "heavy()\n"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"128 {DEFAULT_MODEL}",
        "",
        "(1, 128)",
        "sentence_transformers tokenizers torch transformers",
    ]


def test_vectors_are_those_of_sentence_transformers(model: SentenceTransformerEmbedder) -> None:
    plain = model._load().network.model.encode(TEXTS)
    vectors = model.embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(vectors, plain, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_each_text_has_its_own_vector_whatever_it_is_batched_with(model: SentenceTransformerEmbedder) -> None:
    small = SentenceTransformerEmbedder(batch_size=2)
    alone = np.concatenate([model.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(small.embed(TEXTS), alone, atol=1e-5)


def test_meaning_decides(model: SentenceTransformerEmbedder) -> None:
    [query] = model.embed(["How do I catch an error?"], input_type="query")
    assert int(np.argmax(model.embed(TEXTS[1:]) @ query)) == TEXTS.index(TEXTS[4]) - 1


def test_no_texts_make_no_vectors_and_load_nothing(tiny_folder: Path) -> None:
    assert SentenceTransformerEmbedder().embed([]).shape == (0, 384)
    assert SentenceTransformerEmbedder(tiny_folder).embed([]).shape == (0, 16)


def test_progress_is_reported(tiny_folder: Path) -> None:
    done: list[int] = []
    SentenceTransformerEmbedder(tiny_folder, batch_size=4).embed(WORDS[:10], on_progress=done.append)
    assert done == [4, 4, 2]


def test_a_local_folder_has_an_identity_of_its_own(tiny_folder: Path) -> None:
    identity = SentenceTransformerEmbedder(tiny_folder).identity
    assert identity == EmbedderIdentity(
        "sentence-transformers",
        str(tiny_folder),
        model_files.fingerprint(tiny_folder),
        16,
        normalized=True,
        query_prompt=QUERY_PROMPT,
        document_prompt=DOCUMENT_PROMPT,
    )


def test_prompts_of_the_model_are_used(tiny_folder: Path) -> None:
    own = SentenceTransformerEmbedder(tiny_folder)
    bare = SentenceTransformerEmbedder(tiny_folder, query_prompt="", document_prompt="")
    as_query = own.embed(["the cat"], input_type="query")
    as_document = own.embed(["the cat"])
    assert not np.allclose(as_query, as_document, atol=1e-3)
    np.testing.assert_allclose(as_query, bare.embed([f"{QUERY_PROMPT}the cat"]), atol=1e-6)
    np.testing.assert_allclose(as_document, bare.embed([f"{DOCUMENT_PROMPT}the cat"]), atol=1e-6)
    np.testing.assert_allclose(bare.embed(["the cat"], input_type="query"), bare.embed(["the cat"]), atol=1e-6)


def test_prompts_that_are_given_come_first(tiny_folder: Path) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder, query_prompt="dog ", document_prompt="train ")
    bare = SentenceTransformerEmbedder(tiny_folder, query_prompt="", document_prompt="")
    assert (embedder.identity.query_prompt, embedder.identity.document_prompt) == ("dog ", "train ")
    np.testing.assert_allclose(embedder.embed(["cat"], input_type="query"), bare.embed(["dog cat"]), atol=1e-6)
    np.testing.assert_allclose(embedder.embed(["cat"]), bare.embed(["train cat"]), atol=1e-6)


def test_truncation_comes_before_normalisation(tiny_folder: Path) -> None:
    full = SentenceTransformerEmbedder(tiny_folder, normalize=False).embed(WORDS)
    cut = SentenceTransformerEmbedder(tiny_folder, truncate_dim=5).embed(WORDS)
    expected = full[:, :5] / np.linalg.norm(full[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, atol=1e-5)
    raw = SentenceTransformerEmbedder(tiny_folder, truncate_dim=5, normalize=False)
    np.testing.assert_allclose(raw.embed(WORDS), full[:, :5], atol=1e-5)
    assert (raw.identity.dimensions, raw.identity.truncate_dim, raw.identity.normalized) == (5, 5, False)


@pytest.mark.parametrize(
    ("options", "normalized"),
    [
        ({}, True),
        ({"normalize": False}, True),
        ({"normalize": False, "truncate_dim": 384}, True),
        ({"normalize": False, "truncate_dim": 100}, False),
        ({"truncate_dim": 100}, True),
    ],
    ids=str,
)
def test_identity_says_whether_vectors_have_length_one(
    options: dict[str, Any], normalized: bool, model: SentenceTransformerEmbedder
) -> None:
    """The default model normalises by itself, but not what is cut off afterwards."""
    embedder = SentenceTransformerEmbedder(**options)
    assert embedder.identity.normalized is normalized
    norms = np.linalg.norm(embedder.embed(TEXTS[:2]), axis=1)
    assert np.allclose(norms, 1, atol=1e-4) is normalized


def test_truncation_to_all_dimensions_is_none(tiny_folder: Path) -> None:
    whole = SentenceTransformerEmbedder(tiny_folder, truncate_dim=16).identity
    assert whole == SentenceTransformerEmbedder(tiny_folder).identity


def test_truncation_of_the_configuration_is_kept_unless_told_otherwise(copy_of_tiny: Path) -> None:
    import json

    file = copy_of_tiny / "config_sentence_transformers.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "truncate_dim": 6}))
    assert SentenceTransformerEmbedder(copy_of_tiny).embed(["cat"]).shape == (1, 6)
    assert SentenceTransformerEmbedder(copy_of_tiny, truncate_dim=16).embed(["cat"]).shape == (1, 16)
    assert SentenceTransformerEmbedder(copy_of_tiny).identity.truncate_dim == 6
    assert SentenceTransformerEmbedder(copy_of_tiny, truncate_dim=16).identity.truncate_dim == 16


@pytest.mark.parametrize("truncate_dim", [17, 1000])
def test_truncation_beyond_the_model_is_refused(truncate_dim: int, tiny_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="from 1 to 16"):
        SentenceTransformerEmbedder(tiny_folder, truncate_dim=truncate_dim).embed(["a"])
    with pytest.raises(ConfigurationError, match="from 1 to 384"):
        _ = SentenceTransformerEmbedder(truncate_dim=385).dimensions


@pytest.mark.parametrize("option", [{"truncate_dim": 0}, {"truncate_dim": -1}, {"batch_size": 0}], ids=str)
def test_wrong_options_are_refused_at_once(option: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        SentenceTransformerEmbedder("org/absent", **option)  # type: ignore[arg-type]  # of several types


@pytest.mark.parametrize(
    ("prompt", "limit"),
    [("", 30), (DOCUMENT_PROMPT, 28), ("the cat and ", 27), ("zebra", 25)],
    ids=["none", "own", "words", "unknown word"],
)
def test_special_tokens_and_prompt_are_deducted(prompt: str, limit: int, tiny_folder: Path) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder, document_prompt=prompt)
    assert embedder.max_tokens == limit
    words = ["cat"] * limit
    network = embedder._load().network.model
    features = network.preprocess([" ".join(words)], prompt=prompt or None)
    assert features["input_ids"].shape[1] <= 32
    assert embedder.embed([" ".join(words)]).shape == (1, 16)
    with pytest.raises(
        EmbeddingError, match=f"document 1 has {limit + 1} tokens.*reads {limit}; cut it into"
    ) as caught:
        embedder.embed(["cat", " ".join([*words, "cat"])])
    assert caught.value.facts == {"position": 1, "tokens": limit + 1, "max_tokens": limit}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "zebra", "漢字", "é", " ", "\n", ":", "x" * 40]) | st.text(max_size=6)))
def test_chunks_are_read_whole(tiny_folder: Path, words: list[str]) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder)
    chunker = Chunker(Chunking(overlap=3), tokenizer=embedder.tokenizer, max_tokens=embedder.max_tokens)
    [chunks] = chunker.split([" ".join(words)])
    network = embedder._load().network
    unlimited = network.tokenizer
    assert unlimited is not None
    for chunk in chunks:
        read = network.model.preprocess([chunk.content], prompt=DOCUMENT_PROMPT)["input_ids"][0].tolist()
        assert read == unlimited.encode(DOCUMENT_PROMPT + chunk.content).ids
    assert embedder.embed([chunk.content for chunk in chunks]).shape == (len(chunks), 16)


def test_a_prompt_that_leaves_no_room_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="document prompt leaves no room"):
        SentenceTransformerEmbedder(tiny_folder, document_prompt="cat " * 30).embed(["a"])


def test_long_queries_are_truncated_with_a_warning(tiny_folder: Path) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder)
    limit = 32 - 2 - 2  # "query" and ":"
    words = ["cat"] * limit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = embedder.embed([" ".join(words)], input_type="query")
    with pytest.warns(QueryTruncated, match=f"query 0 has {limit + 5} tokens") as caught:
        cut = embedder.embed([" ".join([*words, *["dog"] * 5])], input_type="query")
    assert caught[0].filename == __file__
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_the_tokenizer_counts_without_limits(tiny_folder: Path) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder)
    embedder.embed(["cat"])  # which sets truncation and padding in the model's own tokenizer
    assert embedder.tokenizer is not None
    counts = [len(encoding) for encoding in embedder.tokenizer.encode_batch(["cat " * 100, "cat"])]
    assert counts == [102, 3]


def test_a_model_without_limit(tiny_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    folder = tmp_path / "static"
    network = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu")
    network.save(str(folder), create_model_card=False)
    embedder = SentenceTransformerEmbedder(folder)
    assert embedder.max_tokens is None
    assert embedder.tokenizer is not None
    assert embedder.embed(["cat " * 5000, "cat"]).shape == (2, 8)


def test_weights_of_half_precision_make_float32(tiny_folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = tmp_path / "half"
    network = SentenceTransformer(str(tiny_folder), device="cpu", local_files_only=True).half()
    network.save(str(folder), create_model_card=False)
    half = SentenceTransformerEmbedder(folder)
    assert half.embed(["the cat"]).dtype == np.float32
    assert half.identity.differences(SentenceTransformerEmbedder(tiny_folder).identity) != []
    np.testing.assert_allclose(
        half.embed(["the cat"]), SentenceTransformerEmbedder(tiny_folder).embed(["the cat"]), atol=1e-2
    )


def test_a_model_is_loaded_once_for_all_threads_and_embedders(
    copy_of_tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers import SentenceTransformer

    loaded: list[str] = []
    original = SentenceTransformer.__init__

    def count(self: Any, folder: str, **options: Any) -> None:
        loaded.append(folder)
        original(self, folder, **options)

    monkeypatch.setattr(SentenceTransformer, "__init__", count)
    embedders = [SentenceTransformerEmbedder(copy_of_tiny) for _ in range(2)]
    barrier = threading.Barrier(8)

    def embed(number: int) -> list[list[float]]:
        barrier.wait()
        texts = [f"{word} {'cat ' * number}" for word in WORDS]
        result: list[list[float]] = embedders[number % 2].embed(texts).tolist()
        return result

    with ThreadPoolExecutor(8) as pool:
        concurrent = list(pool.map(embed, range(8)))
    assert loaded == [str(copy_of_tiny)]
    barrier = threading.Barrier(1)
    for number, vectors in enumerate(concurrent):
        np.testing.assert_allclose(vectors, embed(number), atol=1e-5)


def test_a_model_that_was_replaced_is_loaded_again(copy_of_tiny: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    before = SentenceTransformerEmbedder(copy_of_tiny)
    vectors = before.embed(["cat"])
    weights = copy_of_tiny / "model.safetensors"
    tensors = {name: tensor * 1.5 for name, tensor in load_file(weights).items()}
    weights.unlink()
    save_file(tensors, weights, metadata={"format": "pt"})
    after = SentenceTransformerEmbedder(copy_of_tiny)
    assert not np.allclose(after.embed(["cat"]), vectors)
    assert before.identity.differences(after.identity) != []


def test_a_failed_load_may_be_tried_again(tiny_folder: Path, tmp_path: Path) -> None:
    embedder = SentenceTransformerEmbedder(tmp_path / "later")
    with pytest.raises(EmbeddingError):
        embedder.embed(["a"])
    shutil.copytree(tiny_folder, tmp_path / "later")
    assert embedder.embed(["a"]).shape == (1, 16)


def test_batches_that_do_not_fit_are_halved(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder, batch_size=8)
    expected = embedder.embed(WORDS)
    network, sizes = embedder._load().network.model, []
    original = network.forward

    def forward(features: Any, **options: Any) -> Any:
        import torch

        sizes.append(len(features["input_ids"]))
        if len(features["input_ids"]) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(features, **options)

    monkeypatch.setattr(network, "forward", forward)
    np.testing.assert_allclose(embedder.embed(WORDS), expected, atol=1e-6)
    assert sizes[:2] == [8, 4]
    assert set(sizes[2:-1]) == {2}


@pytest.mark.parametrize("texts", ["one text", [1], [None]], ids=["string", "number", "none"])
def test_wrong_texts_are_refused_before_loading(texts: Any) -> None:
    with pytest.raises(InvalidInput):
        SentenceTransformerEmbedder("org/absent").embed(texts)


@pytest.mark.parametrize("input_type", ["query", "document"])
def test_control_characters_are_no_trouble(input_type: InputType, model: SentenceTransformerEmbedder) -> None:
    assert np.isfinite(model.embed(["\x00", "\n\n", "\u200b", "a\x00b"], input_type=input_type)).all()
