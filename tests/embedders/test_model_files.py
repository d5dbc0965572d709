from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.embedders.hub import COMMIT, serve_hub, write_cache
from vectordb.embedders import DEFAULT_MODEL, SentenceTransformerEmbedder, model_files
from vectordb.errors import ConfigurationError, EmbeddingError, MissingDependency


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def code(marker: Path) -> str:
    """Python that leaves a mark when it is imported, and has whatever class is looked for."""
    return f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n"


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("all-MiniLM-L6-v2", DEFAULT_MODEL),
        ("sentence-transformers/all-MiniLM-L6-v2", DEFAULT_MODEL),
        ("intfloat/e5-small-v2", "intfloat/e5-small-v2"),
        ("./models", "{cwd}/models"),
        ("org/name/folder", "{cwd}/org/name/folder"),
        (Path("org/name"), "{cwd}/org/name"),
        ("../x", "{cwd.parent}/x"),
        ("/models/x", "/models/x"),
        ("~/x", "{home}/x"),
    ],
    ids=str,
)
def test_names_are_canonical(model: str | Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = name.format(cwd=tmp_path, home=Path.home())
    assert model_files.canonical_name(model) == expected
    assert model_files.canonical_name(expected) == expected
    assert model_files.is_folder_name(expected) == expected.startswith("/")


def test_a_name_means_the_same_in_every_directory(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_folder.parent.parent)
    name = f"{tiny_folder.parent.name}/{tiny_folder.name}"
    assert Path(name).is_dir()
    with pytest.raises(EmbeddingError, match=f"write './{name}'"):
        SentenceTransformerEmbedder(name, local_files_only=True).embed(["a"])
    assert SentenceTransformerEmbedder(f"./{name}").dimensions == 16


def test_a_model_that_cannot_be_had_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"'org/absent' is not in the cache.*its folder or cache_folder") as caught:
        SentenceTransformerEmbedder("org/absent", cache_folder=tmp_path).embed(["a"])
    assert caught.value.facts["model"] == "org/absent"
    with pytest.raises(EmbeddingError, match="at revision 'v2'"):
        SentenceTransformerEmbedder("org/absent", cache_folder=tmp_path, revision="v2").embed(["a"])


@pytest.mark.parametrize("made", [False, True], ids=["no folder", "empty folder"])
def test_a_folder_without_a_model_is_named(made: bool, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    if made:
        folder.mkdir()
    with pytest.raises(EmbeddingError, match=str(folder)):
        SentenceTransformerEmbedder(folder).embed(["a"])


def test_models_are_downloaded_without_code_and_pickles(copy_of_tiny: Path, tmp_path: Path) -> None:
    """Against a hub on this machine, in a process that is not offline."""
    unwanted = ["modeling.py", "pytorch_model.bin", "onnx/model.onnx", "onnx/model.safetensors", "image.png"]
    for file in unwanted:
        (copy_of_tiny / file).parent.mkdir(exist_ok=True)
        (copy_of_tiny / file).write_bytes(b"unwanted")
    program = (
        "import sys; from vectordb.embedders import model_files\n"
        f"for _ in range(2): print(*model_files.find_model('org/tiny', revision=None, cache_folder={str(tmp_path)!r}, "
        "local_files_only=False).path.parts[-3:])\n"
        "print('torch' in sys.modules)"
    )
    with serve_hub("org/tiny", copy_of_tiny) as (url, fetched):
        environment = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=os.environ | environment | {"HF_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == (f"models--org--tiny snapshots {COMMIT}\n" * 2 + "False\n", "")
    wanted = {str(file.relative_to(copy_of_tiny)) for file in copy_of_tiny.rglob("*") if file.is_file()} - {*unwanted}
    assert sorted(fetched) == sorted(wanted)
    cached = tmp_path / "models--org--tiny" / "snapshots" / COMMIT
    assert model_files.fingerprint(cached) == model_files.fingerprint(copy_of_tiny)


def test_cached_models_are_used_offline_and_tell_their_commit(tiny_folder: Path, tmp_path: Path) -> None:
    write_cache(tmp_path, "org/tiny", tiny_folder)
    embedder = SentenceTransformerEmbedder("org/tiny", cache_folder=tmp_path)
    local = SentenceTransformerEmbedder(tiny_folder)
    assert embedder.revision == COMMIT
    assert local.revision is None
    assert embedder.identity.model == "org/tiny"
    assert embedder.identity.fingerprint == local.identity.fingerprint
    assert embedder.identity.differences(local.identity) == []
    assert embedder.embed(["the cat"]).tolist() == local.embed(["the cat"]).tolist()


def test_a_revision_is_pinned(tiny_folder: Path, tmp_path: Path) -> None:
    write_cache(tmp_path, "org/tiny", tiny_folder)
    assert SentenceTransformerEmbedder("org/tiny", cache_folder=tmp_path, revision=COMMIT).revision == COMMIT
    with pytest.raises(EmbeddingError, match="revision"):
        SentenceTransformerEmbedder("org/tiny", cache_folder=tmp_path, revision="f" * 40).embed(["a"])


def test_a_cache_that_lacks_only_what_is_not_needed_is_used_offline(tiny_folder: Path, tmp_path: Path) -> None:
    """Other programs leave out files of our patterns, and a listing by which the hub's library notices."""
    from huggingface_hub import _tree_cache

    snapshot = write_cache(tmp_path, "org/tiny", tiny_folder)
    entries = {
        name: _tree_cache.TreeCacheEntry(size=1, blob_id="0" * 40, lfs_sha256=None, lfs_size=None, xet_hash=None)
        for name in [*(str(file.relative_to(snapshot)) for file in snapshot.rglob("*.*")), "data_config.json"]
    }
    _tree_cache.write_tree_cache(str(snapshot.parents[1]), COMMIT, entries)
    assert SentenceTransformerEmbedder("org/tiny", cache_folder=tmp_path).revision == COMMIT


def test_the_fingerprint_is_that_of_the_weights(tiny_folder: Path) -> None:
    digest = hashlib.sha256((tiny_folder / "model.safetensors").read_bytes()).hexdigest()
    assert model_files.fingerprint(tiny_folder) == f"sha256:{digest}"


def test_the_hash_in_the_name_of_a_blob_is_trusted(tiny_folder: Path, tmp_path: Path) -> None:
    snapshot = write_cache(tmp_path, "org/tiny", tiny_folder)
    (snapshot / "model.safetensors").resolve().write_bytes(b"not read")
    assert model_files.fingerprint(snapshot) == model_files.fingerprint(tiny_folder)


def test_the_fingerprint_covers_all_shards_and_nothing_else(tmp_path: Path) -> None:
    def write(**files: str) -> str:
        for name, content in files.items():
            file = tmp_path / name.replace("__", "/").replace("_of_", "-of-")
            file.parent.mkdir(exist_ok=True)
            file.with_suffix(".safetensors").write_text(content)
        return model_files.fingerprint(tmp_path)

    one = write(model_1="x")
    two = write(model_2="y")
    assert one == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    digests = "\n".join(hashlib.sha256(content).hexdigest() for content in (b"x", b"y"))
    assert two == f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}"
    assert write(model_1="y", model_2="x") != two
    assert write(model_1="x", model_2="y") == two
    assert write(onnx__model="z", openvino__model="z") == two
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "model.safetensors").write_text("z")
    assert model_files.fingerprint(tmp_path) == two
    assert write(two_dense__model="z") != two


def test_a_module_of_foreign_code_is_refused(copy_of_tiny: Path, marker: Path) -> None:
    (copy_of_tiny / "evil.py").write_text(code(marker))
    modules = json.loads((copy_of_tiny / "modules.json").read_text())
    modules[1]["type"] = "evil.Evil"
    (copy_of_tiny / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigurationError, match=r"evil\.Evil.*FunctionEmbedder\(model\.encode"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


def test_a_route_of_foreign_code_is_refused(copy_of_tiny: Path, marker: Path) -> None:
    (copy_of_tiny / "evil.py").write_text(code(marker))
    (copy_of_tiny / "router_config.json").write_text(json.dumps({"types": {"query_0_Evil": "evil.Evil"}}))
    with pytest.raises(ConfigurationError, match=r"evil\.Evil"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


@pytest.mark.parametrize("model_type", ["evil", "bert"], ids=["unknown type", "type of a known model"])
def test_an_architecture_of_foreign_code_is_refused(model_type: str, copy_of_tiny: Path, marker: Path) -> None:
    """A "bert" of the author's own would otherwise be loaded as a plain one, with random weights."""
    (copy_of_tiny / "evil.py").write_text(code(marker))
    auto_map = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    change_json(copy_of_tiny / "config.json", model_type=model_type, architectures=["EvilModel"], auto_map=auto_map)
    with pytest.raises(ConfigurationError, match="auto_map"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


def test_a_tokenizer_of_foreign_code_is_refused(copy_of_tiny: Path, marker: Path) -> None:
    (copy_of_tiny / "evil.py").write_text(code(marker))
    change_json(copy_of_tiny / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    with pytest.raises(ConfigurationError, match="tokenizer_config"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


def test_code_beside_an_architecture_that_transformers_has_is_not_run(
    copy_of_tiny: Path, tiny_folder: Path, marker: Path
) -> None:
    (copy_of_tiny / "evil.py").write_text(code(marker))
    change_json(copy_of_tiny / "config.json", auto_map={"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"})
    vectors = SentenceTransformerEmbedder(copy_of_tiny).embed(["the cat"])
    assert vectors.tolist() == SentenceTransformerEmbedder(tiny_folder).embed(["the cat"]).tolist()
    assert not marker.exists()


def test_pickled_weights_are_refused(copy_of_tiny: Path, marker: Path) -> None:
    (copy_of_tiny / "model.safetensors").unlink()
    (copy_of_tiny / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ConfigurationError, match="safetensors"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


def test_pickled_weights_of_one_module_are_refused(copy_of_tiny: Path, marker: Path) -> None:
    from sentence_transformers.base.modules import Dense

    modules = json.loads((copy_of_tiny / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": f"{Dense.__module__}.{Dense.__qualname__}"})
    (copy_of_tiny / "modules.json").write_text(json.dumps(modules))
    dense = Dense(16, 4)
    (copy_of_tiny / "2_Dense").mkdir()
    dense.save(str(copy_of_tiny / "2_Dense"))
    assert SentenceTransformerEmbedder(copy_of_tiny).dimensions == 4

    (copy_of_tiny / "2_Dense" / "model.safetensors").unlink()
    (copy_of_tiny / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ConfigurationError, match="safetensors"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert not marker.exists()


def test_pickled_weights_beside_safetensors_are_not_read(copy_of_tiny: Path, marker: Path) -> None:
    (copy_of_tiny / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(marker)))
    assert SentenceTransformerEmbedder(copy_of_tiny).embed(["a"]).shape == (1, 16)
    assert not marker.exists()


def test_a_model_of_another_kind_is_refused(copy_of_tiny: Path) -> None:
    change_json(copy_of_tiny / "config_sentence_transformers.json", model_type="CrossEncoder")
    with pytest.raises(ConfigurationError, match="CrossEncoder, not an embedding model"):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])


@pytest.mark.parametrize("file", ["modules.json", "config.json"])
def test_damaged_files_are_named(file: str, copy_of_tiny: Path) -> None:
    (copy_of_tiny / file).write_text('{"half":')
    with pytest.raises(ConfigurationError, match=file):
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])


def test_damaged_weights_are_an_embedding_error(copy_of_tiny: Path) -> None:
    weights = copy_of_tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(EmbeddingError, match="cannot load the model") as caught:
        SentenceTransformerEmbedder(copy_of_tiny).embed(["a"])
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("package", ["sentence_transformers", "huggingface_hub"])
def test_a_missing_package_names_the_extra(
    package: str, copy_of_tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    model = copy_of_tiny if package == "sentence_transformers" else "org/tiny"
    with pytest.raises(MissingDependency, match=r'pip install "vectordb-postgres\[local\]"'):
        SentenceTransformerEmbedder(model, cache_folder=tmp_path).embed(["a"])
