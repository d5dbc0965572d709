"""Settings from the environment: what is used where an argument is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vectordb.errors import ConfigurationError
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
        text_index: `bm25` or `none`; an upgrade from a version without text indexes follows it, too.
        k1: BM25, how much a repeated word counts more.
        b: BM25, how much a long text is held against it.
        model: sentence-transformers model that fills the default collection.
        fields: Declared fields, as `year:int,lang:str`; an upgrade from a version without them adds them, too.

    Raises:
        ConfigurationError: A value cannot be read; the message names the variable.
    """

    model_config = SettingsConfigDict(
        env_prefix="VECTORDB_", env_ignore_empty=True, populate_by_name=True, extra="ignore"
    )

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
    text_index: str = "bm25"
    k1: float = 1.2
    b: float = 0.75
    model: str | None = None
    fields: str = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            name = str(problem["loc"][0]).removeprefix("VECTORDB_").lower()
            raise ConfigurationError(
                f"the setting {name} (VECTORDB_{name.upper()}) cannot be read: {problem['msg']}"
            ) from None
