"""Settings from the environment: what is used where an argument is left out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from vectordb.metrics import Metric, Storage


class Settings(BaseSettings):
    """Values of `VECTORDB_…` variables, read when an instance is made.

    Those from `dimensions` on describe the default collection and matter only when the
    first migration creates it.

    Attributes:
        url: Database to use; None starts the embedded server.
        path: Directory of the embedded server.
        schema_name: Schema of all tables (`VECTORDB_SCHEMA`).
        dimensions: Of the default collection; None takes the model's.
        metric: Of the default collection.
        storage: Of the default collection.
        index: `hnsw`, `ivfflat` or `none`.
        m: HNSW neighbours per node.
        ef_construction: HNSW candidates while building.
        lists: IVFFlat clusters.
        text_config: PostgreSQL text search configuration.
        model: sentence-transformers model that fills the default collection.
    """

    model_config = SettingsConfigDict(env_prefix="VECTORDB_", populate_by_name=True, extra="ignore")

    url: SecretStr | None = None
    path: Path = Path(".vectordb")
    schema_name: str = Field(default="vectordb", validation_alias="VECTORDB_SCHEMA")
    dimensions: int | None = None
    metric: Metric = Metric.COSINE
    storage: Storage = Storage.VECTOR
    index: str = "hnsw"
    m: int = 16
    ef_construction: int = 64
    lists: int = 100
    text_config: str = "english"
    model: str | None = None
