"""The bond between a collection and its embedder: found, checked on every use, registered by the first text."""

from __future__ import annotations

from vectordb import registry
from vectordb.chunking import Chunker
from vectordb.database import Database
from vectordb.embedders import Embedder, EmbedderIdentity, embedder_from_identity
from vectordb.errors import ConfigurationError, EmbedderMismatch
from vectordb.registry import CollectionConfig


class EmbedderBinding:
    """The embedder of one collection.

    Args:
        database: Where the collection is registered.
        config: Its declaration, as registered.
        given: What the application passed; None has one built from the registered identity when it is needed.
    """

    def __init__(self, database: Database, config: CollectionConfig, given: Embedder | None) -> None:
        self._database = database
        self._config = config
        self._embedder = given
        self._checked = False
        self._chunker: Chunker | None = None
        self.identity: EmbedderIdentity | None = config.embedder

    def for_reading(self) -> Embedder:
        """Return the embedder, checked against the registered identity.

        Raises:
            ConfigurationError: None was given, and none can be built from the registry.
            EmbedderMismatch: The one that was given makes other vectors.
        """
        if self._embedder is None:
            self._embedder = self._rebuild()
        if not self._checked:
            self._check(self._embedder)
            self._checked = True
        return self._embedder

    def for_writing(self) -> Embedder:
        """Return the embedder, registered as the one that fills the collection.

        Raises:
            ConfigurationError: As `for_reading`.
            EmbedderMismatch: As `for_reading`, or another writer has registered another one meanwhile.
        """
        embedder = self.for_reading()
        if self.identity is None:
            with self._database.begin() as connection:
                self.identity = registry.register_embedder(connection, self._config.name, embedder.identity)
            self._check(embedder)
        return embedder

    def chunker(self) -> Chunker:
        """Return what cuts texts so that the embedder reads all of each chunk."""
        if self._chunker is None:
            embedder = self.for_reading()
            self._chunker = Chunker(self._config.chunking, tokenizer=embedder.tokenizer, max_tokens=embedder.max_tokens)
        return self._chunker

    def _rebuild(self) -> Embedder:
        name, identity = self._config.name, self.identity
        embedder = None if identity is None else embedder_from_identity(identity)
        if embedder is None:
            which = f"was filled by {identity.model!r}" if identity else "has no embedder"
            raise ConfigurationError(
                f"the collection {name!r} {which}; pass embedder=… to db.collection({name!r}), "
                "or use vectors instead of text"
            )
        return embedder

    def _check(self, embedder: Embedder) -> None:
        given, registered = embedder.identity, self.identity
        dimensions = self._config.space.dimensions
        differences = [] if registered is None else registered.differences(given)
        if given.dimensions != dimensions and not differences:
            differences = [f"dimensions {given.dimensions}, not {dimensions}"]
        if differences:
            raise EmbedderMismatch(
                f"the collection {self._config.name!r} is filled by another embedder ({'; '.join(differences)}); "
                "vectors of the two cannot be compared. Use the registered one, or fill a new collection with the "
                "new one",
                registered=registered,
                given=given,
            )
