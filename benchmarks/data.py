"""Vectors to measure with: made ones with the structure of real ones, and real ones of short definitions."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vectordb import SentenceTransformerEmbedder

_WORDNET = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "wordnet30_glosses.jsonl.gz"
_CACHE = Path(__file__).parent / ".cache" / "wordnet.minilm384.npy"


@dataclass(frozen=True, slots=True)
class Passages:
    """Texts with their embeddings, and queries that are none of them.

    Attributes:
        ids: n of them.
        texts: n of them.
        subjects: What each is about, a number, n of them.
        documents: Embeddings of the texts, shape (n, 384), of unit length.
        queries: Shape (q, 384), of unit length.
    """

    ids: list[str]
    texts: list[str]
    subjects: list[int]
    documents: NDArray[np.float32]
    queries: NDArray[np.float32]


def check_wordnet() -> None:
    """End the program with a message where the definitions are not there."""
    if not _WORDNET.is_file():
        raise SystemExit(
            f"this benchmark needs {_WORDNET.name} in {_WORDNET.parent}; --only write and --only search do without"
        )


def wordnet(rows: int, queries: int) -> Passages:
    """Return definitions from WordNet in an order that is always the same; the first call embeds them for minutes."""
    entries = _entries()
    matrix = _embedded(entries).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    order = np.random.default_rng(7).permutation(len(entries))
    asked, kept = order[:queries], order[queries : queries + rows]
    return Passages(
        [entries[i]["id"] for i in kept],
        [entries[i]["text"] for i in kept],
        [entries[i]["lexfile"] for i in kept],
        np.ascontiguousarray(matrix[kept]),
        np.ascontiguousarray(matrix[asked]),
    )


def _embedded(entries: list[dict[str, Any]]) -> NDArray[np.float16]:
    if not _CACHE.is_file():
        Console().print(f"Embedding {len(entries):,} definitions, once; kept in {_CACHE.name}")
        texts = [_described(entry) for entry in entries]
        _CACHE.parent.mkdir(exist_ok=True)
        np.save(_CACHE, SentenceTransformerEmbedder().embed(texts, input_type="document").astype(np.float16))
    matrix: NDArray[np.float16] = np.load(_CACHE)
    return matrix


def wordnet_entries(rows: int | None) -> tuple[list[str], list[str], NDArray[np.float32]]:
    """Return passages made of words and their definition, the definitions, and embeddings of the passages.

    Returns:
        The first two have `rows` texts, all 117,659 for None; the last has the shape (rows, 384), of unit length. The
        order is always the same.
    """
    entries = _entries()
    matrix = _embedded(entries)
    kept = np.random.default_rng(7).permutation(len(entries))[:rows]
    vectors = matrix[kept].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [_described(entries[i]) for i in kept], [entries[i]["text"] for i in kept], vectors


def _entries() -> list[dict[str, Any]]:
    with gzip.open(_WORDNET, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _described(entry: dict[str, Any]) -> str:
    return f"{', '.join(entry['words'])}: {entry['text']}"


def nearest(
    documents: NDArray[np.float32], queries: NDArray[np.float32], ids: list[str], mask: NDArray[np.bool_], limit: int
) -> list[set[str]]:
    """Return for each query the ids of the `limit` documents nearest by cosine among those of the mask."""
    (among,) = np.nonzero(mask)
    scores = queries @ documents[among].T
    best = np.argsort(-scores, axis=1)[:, :limit]
    return [{ids[among[i]] for i in row} for row in best]


def clustered_vectors(count: int, dimensions: int, *, seed: int = 1, clusters: int = 500) -> NDArray[np.float32]:
    """Return unit vectors around `clusters` centres, shape (count, dimensions), float32."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((clusters, dimensions), dtype=np.float32)
    vectors = centres[generator.integers(0, clusters, count)]
    vectors += 0.8 * generator.standard_normal((count, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def recall(found: list[list[str]], queries: NDArray[np.float32], stored: NDArray[np.float32], ids: list[str]) -> float:
    """Return the share of the true nearest neighbours (by cosine) that was found."""
    hits = total = 0
    for query, names in zip(queries, found, strict=True):
        true = np.argpartition(-(stored @ query), len(names))[: len(names)]
        hits += len({ids[i] for i in true} & set(names))
        total += len(names)
    return hits / total
