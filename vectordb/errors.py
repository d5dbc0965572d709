"""Every error that vectordb raises.

::

    VectorDBError
    ├── ConfigurationError                 settings that cannot work together
    │   └── MissingDependency              (ImportError) an optional package is not installed
    ├── InvalidInput                       (ValueError) refused before anything was written
    │   ├── InvalidVector                  not finite, wrong shape, zero length under cosine
    │   │   └── DimensionMismatch          another number of dimensions than the collection's
    │   ├── InvalidFilter
    │   ├── InvalidName                    a collection, schema or index name
    │   ├── InvalidText                    NUL, lone surrogates, ids that are too long
    │   ├── InvalidMetadata                not JSON, NaN, nested too deep
    │   ├── DuplicateDocument              the same id twice in one call
    │   └── OutsideView                    a document that does not belong to the view in use
    ├── NotFound                           (LookupError)
    │   ├── CollectionNotFound
    │   └── DocumentNotFound
    ├── CollectionExists
    ├── EmbedderMismatch                   another embedder than the one that filled the collection
    ├── EmbeddingError                     the embedder failed or broke its contract
    ├── RerankingError                     the reranker failed or broke its contract
    └── DatabaseError                      .sqlstate
        ├── ConnectionFailed
        ├── TransactionConflict
        ├── QueryTimeout
        ├── SchemaError                    tables missing, older or newer than this library
        ├── ExtensionError                 pgvector missing, too old, or not permitted
        ├── StorageFull
        └── ServerError                    the embedded server cannot run here

Messages say what to do next. They never hold a password, a vector, or the content of a row.
"""

from __future__ import annotations

from typing import Any, ClassVar


class VectorDBError(Exception):
    """Base of every error of this library.

    Args:
        message: What happened and what to do about it.
        **facts: Values a program can act on; each becomes an attribute.

    Attributes:
        retryable: Whether the same call may succeed if it is simply made again.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts
        for name, value in facts.items():
            setattr(self, name, value)


class ConfigurationError(VectorDBError):
    """Options or settings that cannot work, found before any work was done."""


class MissingDependency(ConfigurationError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""


class InvalidInput(VectorDBError, ValueError):
    """An argument is wrong; nothing was written."""


class InvalidVector(InvalidInput):
    """A vector holds NaN or infinity, has a wrong shape, or no direction under cosine.

    Attributes:
        position: Row of the first bad vector in the call, from 0.
    """


class DimensionMismatch(InvalidVector):
    """A vector has another number of dimensions than its collection.

    Attributes:
        expected: The collection's dimensions.
        actual: The vector's dimensions.
    """


class InvalidFilter(InvalidInput):
    """A `where` that cannot be understood; `path` names the part of it."""


class InvalidName(InvalidInput):
    """A name that PostgreSQL would refuse, fold or truncate."""


class InvalidText(InvalidInput):
    """Text that PostgreSQL cannot store, or an id that is empty or too long."""


class InvalidMetadata(InvalidInput):
    """Metadata that JSON cannot hold; `path` names the entry."""


class DuplicateDocument(InvalidInput):
    """The same document id occurs twice in one call; `id` names it."""


class OutsideView(InvalidInput):
    """A document does not belong to the view of the collection in use, or would leave it; nothing was written.

    Attributes:
        id: Of the document.
        document: Its number in the input, from 0; absent where the id alone told.
    """


class NotFound(VectorDBError, LookupError):
    """Something that was asked for by name does not exist."""


class CollectionNotFound(NotFound):
    """No collection of this `name`; `nearest` is the most similar one, if any."""


class DocumentNotFound(NotFound):
    """No document of this `id`."""


class CollectionExists(VectorDBError):
    """A collection of this `name` exists already."""


class EmbedderMismatch(VectorDBError):
    """The embedder is not the one that filled the collection.

    Attributes:
        registered: Identity stored with the collection.
        given: Identity of the embedder in hand.
    """


class EmbeddingError(VectorDBError):
    """The embedder failed, or returned something else than it promised."""


class RerankingError(VectorDBError):
    """The reranker failed, or returned something else than one finite number for each text."""


class DatabaseError(VectorDBError):
    """PostgreSQL or the connection to it reported an error.

    Attributes:
        sqlstate: PostgreSQL's five-character code, or None if the server did not answer.
    """

    sqlstate: str | None

    def __init__(self, message: str, *, sqlstate: str | None = None, **facts: Any) -> None:
        super().__init__(message, sqlstate=sqlstate, **facts)


class ConnectionFailed(DatabaseError):
    """The server cannot be reached, refused the connection, or went away."""

    retryable = True


class TransactionConflict(DatabaseError):
    """A deadlock, a serialization failure or a lock timeout; safe to run again."""

    retryable = True


class QueryTimeout(DatabaseError):
    """The statement ran into `statement_timeout` or was cancelled."""


class SchemaError(DatabaseError):
    """The tables are missing, or belong to another version of this library."""


class ExtensionError(DatabaseError):
    """pgvector is missing, too old, or may not be created by this role."""


class StorageFull(DatabaseError):
    """The server's disk is full; what was acknowledged before is safe."""


class ServerError(DatabaseError):
    """The embedded PostgreSQL cannot be started, joined or stopped."""
