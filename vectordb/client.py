"""The way in: `connect` finds or starts a database, `VectorDB` hands out its collections."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import URL, Connection, Engine

from vectordb import bootstrap, registry, schema
from vectordb.bootstrap.options import MigrationOptions
from vectordb.chunking import Chunking
from vectordb.collection import Collection, Where
from vectordb.database import Database, open_configured
from vectordb.doctor import Finding, examine
from vectordb.embedders import Embedder, as_embedder
from vectordb.errors import CollectionExists, ConfigurationError
from vectordb.extension import Extension, require_extension
from vectordb.fields import FieldLike, check_fields
from vectordb.indexes import BM25, VectorIndex
from vectordb.metrics import Metric, Storage, VectorSpace
from vectordb.planner import Memory
from vectordb.registry import DEFAULT_COLLECTION, DEFAULT_INDEX, DEFAULT_TEXT_INDEX, CollectionConfig
from vectordb.settings import Settings
from vectordb.validation import check_name

EmbedderLike = Embedder | str | Callable[..., Any]


def connect(url: str | URL | Engine | None = None, *, path: str | Path | None = None) -> VectorDB:
    """Open a database.

    Args:
        url: `postgresql://user:password@host:port/database`, as text or SQLAlchemy's URL, or an engine of the psycopg
            dialect, which stays yours to dispose of. None takes `$VECTORDB_URL`, and without that
            starts or joins the embedded server, whose tables are created when they are missing.
        path: Directory of the embedded server; None takes `$VECTORDB_PATH`, else `.vectordb`.

    Returns:
        An open database. With a URL nothing is sent to the server yet.

    Raises:
        ConfigurationError: A URL that cannot be read, both arguments at once, or another driver.
        MissingDependency: No URL, and the extra `embedded` is not installed.
        ServerError: The embedded server cannot be started.
    """
    settings = Settings()
    options = MigrationOptions.of(settings)
    if isinstance(url, Engine):
        if path is not None:
            raise ConfigurationError("pass an engine, or a path for the embedded server, not both")
        return VectorDB(Database(url, schema=options.schema, owned=False), options)
    engine, embedded = open_configured(settings, url, path=path)
    db = VectorDB(Database(engine, schema=options.schema), options)
    if embedded:
        # This server is ours alone, so there is nobody to ask before creating the tables.
        db.migrate_if_new()
    return db


class VectorDB:
    """A database with its collections; made by `connect`.

    Safe to share between threads; each process opens its own. A context manager that closes itself.

    Args:
        database: The way to PostgreSQL.
        options: How the default collection is to be created.
    """

    def __init__(self, database: Database, options: MigrationOptions) -> None:
        self._database = database
        self._options = options
        self._extension: Extension | None = None
        # What searches have learned of a collection outlives the handle.
        self._memories: dict[str, Memory] = {}

    def __enter__(self) -> VectorDB:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VectorDB({self._database.target!r})"

    def close(self) -> None:
        """Close the connections. An embedded server goes on running; `vectordb server stop` stops it."""
        self._database.close()

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine over the same database and pool, for ORM and SQL."""
        return self._database.engine

    def migrate(self) -> None:
        """Bring the tables to this version of the library; does nothing when they are.

        Raises:
            ExtensionError: pgvector is missing and this role may not create it, or is too old.
            DatabaseError: Or the kind that fits; nothing is changed then.
        """
        bootstrap.upgrade(self._database.engine, self._options)

    def migrate_if_new(self) -> None:
        """Create the tables in a database that has none, or has those of an older version."""
        with self._database.begin() as connection:
            revision = bootstrap.current_revision(connection, self._database.schema)
        if revision is None or revision < bootstrap.HEAD:
            self.migrate()

    def create_collection(
        self,
        name: str,
        *,
        embedder: EmbedderLike | None = None,
        dimensions: int | None = None,
        metric: Metric | str = Metric.COSINE,
        storage: Storage | str = Storage.VECTOR,
        index: VectorIndex | None = DEFAULT_INDEX,
        fields: Mapping[str, FieldLike] | None = None,
        text_config: str = "english",
        text_index: BM25 | None = DEFAULT_TEXT_INDEX,
        chunking: Chunking | None = None,
    ) -> Collection:
        """Create a collection: a pair of tables, their index, and a row in the registry.

        Args:
            name: Lower-case letters, digits and underscores, at most 34 bytes.
            embedder: What makes vectors of its texts: an `Embedder`, the name or folder of a
                sentence-transformers model, or a function of a list of texts. None takes
                all-MiniLM-L6-v2, or no embedder at all when `dimensions` are given.
            dimensions: Of the embeddings; None takes the embedder's.
            metric: cosine, l2, inner_product or l1; hamming or jaccard for bits.
            storage: vector (4 bytes a number), halfvec (2 bytes), bit or sparsevec.
            index: `HNSW(...)`, `IVFFlat(...)`, or None to compare every row.
            fields: Keys of the metadata to give a type, a column of their own in both tables, and an index, as
                `{"year": int, "lang": str}`; types are str, int, float, bool and datetime. Other metadata can be
                filtered, too, but documents with another type in a declared field are refused.
            text_config: PostgreSQL text search configuration, for example `english` or `simple`.
            text_index: `BM25(...)`, or None: then only vectors are searched, and writing is cheaper.
            chunking: How texts are cut; None cuts at the embedder's limit.

        Raises:
            CollectionExists: There is one of this name.
            InvalidName: The name, or that of a field, cannot be used.
            ConfigurationError: pgvector has no such column or index, PostgreSQL no such text search
                configuration, a field has an unknown type, or the dimensions are not the embedder's.
            SchemaError: The database has not been migrated.
            DatabaseError: Or the kind that fits; nothing is created then.
        """
        config, chosen = declare_collection(
            name,
            embedder=embedder,
            dimensions=dimensions,
            metric=metric,
            storage=storage,
            index=index,
            fields=fields,
            text_config=text_config,
            text_index=text_index,
            chunking=chunking,
        )
        with self._begin() as connection:
            bootstrap.lock(connection)
            if self._exists(connection, config.name):
                raise CollectionExists(
                    f"a collection named {name!r} exists; open it with db.collection({name!r})", name=name
                )
            schema.create_collection(connection, config, self._database.schema)
        return self._handle(config, chosen)

    def collection(self, name: str = DEFAULT_COLLECTION, *, embedder: EmbedderLike | None = None) -> Collection:
        """Open a collection.

        Args:
            name: Of the collection; left out, the default one that the migrations create.
            embedder: As in `create_collection`; None builds the one that is registered. It is checked
                against the registered identity when the first text is written or searched.

        Raises:
            CollectionNotFound: No such collection; the message names the most similar one.
            SchemaError: The database has not been migrated.
            DatabaseError: Or the kind that fits.

        Round trips: 4; once for each database a few more, to check the version of its tables.
        """
        check_name(name)
        with self._begin() as connection:
            config = registry.get_collection(connection, name)
        return self._handle(config, None if embedder is None else as_embedder(embedder))

    def get_or_create_collection(self, name: str, **options: Any) -> Collection:
        """Open a collection, or create it when it is not there; `options` are those of `create_collection`.

        Raises:
            ConfigurationError: It is there, and has another metric, storage, number of dimensions, fields, text
                search configuration, text index or chunking than asked for. Its index over the embeddings may be
                another: that changes no result.
            TypeError: An option that `create_collection` does not have.
            Others: As `collection` and `create_collection`.
        """
        check_name(name)
        # A misspelt option is an error whether or not the collection is there.
        inspect.signature(self.create_collection).bind(name, **options)
        with self._begin() as connection:
            found = registry.get_collection(connection, name) if self._exists(connection, name) else None
        if found is None:
            try:
                return self.create_collection(name, **options)
            except CollectionExists:
                return self.get_or_create_collection(name, **options)
        if options.get("fields") is not None:
            options["fields"] = check_fields(options["fields"])
        for option, value in (
            ("dimensions", found.space.dimensions),
            ("metric", found.space.metric),
            ("storage", found.space.storage),
            ("fields", dict(found.fields)),
            ("text_config", found.text_config),
            ("chunking", found.chunking),
        ):
            if options.get(option) not in (None, value):
                raise ConfigurationError(
                    f"the collection {name!r} exists with {option} {_shown(value)}, not {_shown(options[option])}; "
                    "use another name, or drop it first"
                )
        if "text_index" in options and options["text_index"] != found.text_index:
            raise ConfigurationError(
                f"the collection {name!r} exists with text_index {found.text_index}, not {options['text_index']}; "
                "create_text_index and drop_text_index change it"
            )
        embedder = options.get("embedder")
        return self._handle(found, None if embedder is None else as_embedder(embedder))

    def collections(self) -> list[Collection]:
        """Open all collections, by name."""
        with self._begin() as connection:
            configs = registry.list_collections(connection)
        return [self._handle(config, None) for config in configs]

    def drop_collection(self, name: str) -> None:
        """Drop a collection with all its documents.

        Raises:
            CollectionNotFound: No such collection.
            DatabaseError: Or the kind that fits.
        """
        check_name(name)
        with self._begin() as connection:
            bootstrap.lock(connection)
            schema.drop_collection(connection, registry.get_collection(connection, name), self._database.schema)
        self._memories.pop(name, None)

    def doctor(self, *, where: Where | None = None, collection: str | None = None) -> list[Finding]:
        """Look at server, tables, indexes and statistics, and say what to mend, and how.

        Args:
            where: A filter to look for an index for.
            collection: The only one to look at; None looks at all, and takes `where` for the default one.

        Returns:
            Findings of level ok, hint, warning or problem. A server that cannot be reached is one, too.
        """
        return examine(self._database, self.collection, where=where, collection=collection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that every call inside the block joins; the end commits, an exception rolls back.

        Yields:
            A SQLAlchemy connection in the same transaction, for SQL and for `Session(bind=...)`.
        """
        with self._database.transaction() as connection:
            yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Open a transaction in which the tables are known to be there."""
        with self._database.begin() as connection:
            if self._extension is None:
                bootstrap.require_head(connection, self._database.schema)
                self._extension = require_extension(connection)
            yield connection

    def _exists(self, connection: Connection, name: str) -> bool:
        return any(config.name == name for config in registry.list_collections(connection))

    def _handle(self, config: CollectionConfig, embedder: Embedder | None) -> Collection:
        assert self._extension is not None  # noqa: S101 - every caller went through _begin
        memory = self._memories.setdefault(config.name, Memory())
        return Collection(self._database, config, extension=self._extension, embedder=embedder, memory=memory)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {kind}" for name, kind in value.items()) or "none"
    return str(value)


def declare_collection(
    name: str,
    *,
    embedder: EmbedderLike | None,
    dimensions: int | None,
    metric: Metric | str,
    storage: Storage | str,
    index: VectorIndex | None,
    fields: Mapping[str, FieldLike] | None,
    text_config: str,
    text_index: BM25 | None,
    chunking: Chunking | None,
) -> tuple[CollectionConfig, Embedder | None]:
    """Check what a collection is created with; return its declaration and its embedder."""
    check_name(name)
    chosen = None if embedder is None and dimensions is not None else as_embedder(embedder)
    identity = None if chosen is None else chosen.identity
    if dimensions is None:
        assert identity is not None  # noqa: S101 - without dimensions there is an embedder
        dimensions = identity.dimensions
    config = CollectionConfig(
        name,
        VectorSpace.of(dimensions, metric, storage),
        index=index,
        fields=check_fields(fields),
        text_config=text_config,
        text_index=text_index,
        chunking=chunking if chunking is not None else Chunking(),
        embedder=identity,
    )
    return config, chosen
