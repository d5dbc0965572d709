"""What the default collection is created with: settings, overlaid with `alembic -x`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from vectordb.embedders import DEFAULT_MODEL, EmbedderIdentity, SentenceTransformerEmbedder
from vectordb.errors import ConfigurationError
from vectordb.fields import parse_fields
from vectordb.indexes import BM25, HNSW, IVFFlat, VectorIndex
from vectordb.metrics import VectorSpace
from vectordb.registry import DEFAULT_COLLECTION, CollectionConfig
from vectordb.settings import Settings
from vectordb.validation import check_name

_DATABASE_OPTIONS = ("url", "path")


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """Where the tables go and what the default collection looks like.

    Attributes:
        schema: Of all tables.
        settings: Everything else; see `Settings`.
    """

    schema: str
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, overrides: Mapping[str, str] | None = None) -> MigrationOptions:
        """Combine settings with `-x name=value` pairs, which win.

        Raises:
            ConfigurationError: An unknown option, or a value out of range.
            InvalidName: The schema's name.
        """
        given = dict(overrides or {})
        names = {"schema" if name == "schema_name" else name for name in Settings.model_fields}
        for name in given:
            if name not in names:
                nearest = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted(names))}"
                raise ConfigurationError(f"unknown option -x {name[:40]}: {hint}")
        if "schema" in given:
            given["schema_name"] = given.pop("schema")
        merged = Settings(**{**settings.model_dump(), **given})
        return cls(check_name(merged.schema_name, "schema"), merged)

    def default_collection(self) -> CollectionConfig:
        """Return the declaration of the default collection.

        Its embedder is the configured model where the dimensions agree; with other
        dimensions it has none, and takes vectors only until an embedder is given.

        Raises:
            ConfigurationError: pgvector has no such column or index, or a field's type is unknown.
            InvalidName: A field cannot be named so.
        """
        identity: EmbedderIdentity | None = None
        settings = self.settings
        if settings.model is not None:
            identity = SentenceTransformerEmbedder(settings.model, truncate_dim=settings.dimensions).identity
        elif settings.dimensions is None:
            identity = SentenceTransformerEmbedder(DEFAULT_MODEL).identity
        dimensions = identity.dimensions if identity is not None else settings.dimensions
        assert dimensions is not None  # noqa: S101 - one of the two branches above gave it
        return CollectionConfig(
            name=DEFAULT_COLLECTION,
            space=VectorSpace(dimensions, settings.metric, settings.storage),
            index=self._index(),
            text_config=settings.text_config,
            text_index=self.text_index(),
            embedder=identity,
            fields=parse_fields(settings.fields),
        )

    def text_index(self) -> BM25 | None:
        """Return the text index of the default collection.

        Raises:
            ConfigurationError: An unknown kind, or a value out of range.
        """
        if self.settings.text_index == "bm25":
            return BM25(self.settings.k1, self.settings.b)
        if self.settings.text_index == "none":
            return None
        raise ConfigurationError(f"text_index is bm25 or none, not {self.settings.text_index[:40]!r}")

    def _index(self) -> VectorIndex | None:
        settings = self.settings
        if settings.index == "hnsw":
            return HNSW(settings.m, settings.ef_construction)
        if settings.index == "ivfflat":
            return IVFFlat(settings.lists)
        if settings.index == "none":
            return None
        raise ConfigurationError(f"index is hnsw, ivfflat or none, not {settings.index[:40]!r}")
