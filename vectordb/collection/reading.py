"""What goes out of a collection: hits, documents, vectors, counts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import overload
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectordb import documents as values
from vectordb import repository, vectors
from vectordb.collection.examples import example_vector
from vectordb.collection.handle import DocumentId, Handle, Where, check_ids
from vectordb.documents import Facet, Results
from vectordb.errors import DocumentNotFound, InvalidInput
from vectordb.filters import And, Field, Filter, In, Not
from vectordb.filters.resolving import check_spelling
from vectordb.search.options import SearchOptions
from vectordb.search.planning import check_strategy
from vectordb.validation import check_text


class Reading(Handle):
    """The reading half of a collection."""

    def search(
        self,
        query: str | ArrayLike | None = None,
        *,
        limit: int | None = 10,
        offset: int = 0,
        where: Where | None = None,
        min_score: float | None = None,
        exact: bool = False,
        strategy: str | None = None,
        ef_search: int | None = None,
        like: DocumentId | Iterable[DocumentId] | None = None,
        unlike: DocumentId | Iterable[DocumentId] | None = None,
        group_by: str | None = None,
        per_group: int = 1,
        diversity: float | None = None,
    ) -> Results:
        """Find the chunks nearest to a query, best first.

        With a filter, the search chooses for itself whether to compare every row that matches or to use the
        index, by what the filter leaves over and what this table costs; `results.plan` tells which, and why. As many
        hits as asked for come back whenever that many match.

        Args:
            query: Text to embed, or a vector of shape (dimensions,). May be left out when `like` is given.
            limit: Most hits, 1 to 100,000. None has all hits that reach `min_score`, at most 100,000, and compares
                every row.
            offset: Hits to leave out first. Pages of one limit show every hit once, as long as nothing is written.
            where: Which documents count: a filter such as `F("year") >= 2020`, its JSON form, or a SQLAlchemy
                expression over `Document` and `Chunk` of this collection.
            min_score: Leave out hits below this score; see `vectordb.metrics.Metric.score` for the range.
            exact: Compare every row that matches instead of using the index.
            strategy: `exact`, the same as `exact=True`, or `iterative`, which uses the index whatever the filter and
                may find fewer; None chooses.
            ef_search: HNSW candidates, 1 to 1000: more is better recall, slower. None has 80, or the
                server's setting where that is more. At least `limit` is used, and more where a filter needs it.
            like: Ids of documents to find more of the kind of; they themselves are left out.
            unlike: Ids of documents to keep away from.
            group_by: `document` has the best chunk of each document, and `limit` counts documents.
            per_group: With `group_by`, most chunks of a document, 1 to 1000.
            diversity: 0 to 1: how far to prefer hits unlike those before over hits nearer to the query (maximal
                marginal relevance over four times `limit` candidates, `limit` at most 1,000); hits are in the order
                of their choice. Not with `offset`, nor with more than one chunk per document.

        Returns:
            Hits by descending score, ties by document id and ordinal; and `plan`, how they were found.

        Raises:
            InvalidVector: The query is no finite vector, or has no direction under cosine.
            DimensionMismatch: It has another number of dimensions.
            InvalidFilter: `where` cannot be understood; `path` names the part of it.
            InvalidInput: Another argument is out of range, or two do not go together.
            DocumentNotFound: An example is not there.
            EmbedderMismatch: Not the embedder that fills this collection.
            ConfigurationError: A text query, and the collection has no embedder.
            DatabaseError: Or the kind that fits.

        Round trips: 1 without a filter; with one, 1 to 3 more to plan it unless it was planned within half a minute;
        one or two more where the index held too few rows. Pages, groups and variety take several.
        """
        options = _options(limit, offset, min_score, exact, strategy, ef_search, group_by, per_group, diversity)
        condition = self._condition(where)
        wanted, unwanted = (check_ids(() if ids is None else ids) for ids in (like, unlike))
        if not wanted and not unwanted:
            return self._searcher.search(self._encode(query), options, condition)
        encoded = self._encode_examples(query, wanted, unwanted)
        return self._searcher.search(encoded, options, _without(wanted + unwanted, condition))

    def search_many(
        self,
        queries: Iterable[str | ArrayLike],
        *,
        limit: int | None = 10,
        offset: int = 0,
        where: Where | None = None,
        min_score: float | None = None,
        exact: bool = False,
        strategy: str | None = None,
        ef_search: int | None = None,
        group_by: str | None = None,
        per_group: int = 1,
        diversity: float | None = None,
    ) -> list[Results]:
        """Find the chunks nearest to each of many queries.

        Args:
            queries: Texts, which are embedded in batches, or vectors; a matrix of shape (n, dimensions) is n vectors.
            limit: As all others, see `search`.
            offset: See `search`.
            where: See `search`.
            min_score: See `search`.
            exact: See `search`.
            strategy: See `search`.
            ef_search: See `search`.
            group_by: See `search`.
            per_group: See `search`.
            diversity: See `search`.

        Returns:
            What `search` returns, for each query in order.

        Raises:
            Errors: As `search`.

        Round trips: As one `search` for all queries together; as one for each with `offset`, `group_by`, `diversity`
        or `limit=None`.
        """
        options = _options(limit, offset, min_score, exact, strategy, ef_search, group_by, per_group, diversity)
        return self._searcher.search_many(self._encode_many(queries), options, self._condition(where))

    @overload
    def get(self, ids: DocumentId) -> values.Document: ...  # type: ignore[overload-overlap] # a str is an Iterable[str]
    @overload
    def get(self, ids: Iterable[DocumentId]) -> list[values.Document]: ...
    def get(self, ids: DocumentId | Iterable[DocumentId]) -> values.Document | list[values.Document]:
        """Read documents by id, their content put together from the chunks.

        Args:
            ids: One id, or several.

        Returns:
            For one id its document; for several a list in the order asked, without those that do not exist.

        Raises:
            DocumentNotFound: One id was asked for, and there is no such document.
            InvalidText: An id is empty, too long, or of a wrong type.

        Round trips: 1.
        """
        wanted = check_ids(ids)
        found = self._database.run(
            lambda connection: repository.get_documents(connection, self._tables, wanted, self._confined_to)
        )
        if not isinstance(ids, (str, int, UUID)):
            return [found[id] for id in wanted if id in found]
        if wanted[0] not in found:
            raise DocumentNotFound(f"{self.name} has no document with the id {wanted[0]!r}", id=wanted[0])
        return found[wanted[0]]

    def vectors(self, ids: DocumentId | Iterable[DocumentId]) -> dict[str, NDArray[np.float32]]:
        """Read embeddings: by document id an array of shape (chunks, dimensions), in order of the chunks.

        Round trips: 1.
        """
        wanted = check_ids(ids)
        return self._database.run(
            lambda connection: repository.get_vectors(
                connection, self._tables, wanted, self._config.space, self._confined_to
            )
        )

    def count(self, where: Where | None = None) -> int:
        """Count documents, all or those that match a filter.

        Round trips: 1.
        """
        condition = self._condition(where)
        return self._database.run(lambda connection: repository.count_documents(connection, self._tables, condition))

    def facets(self, field: str | Sequence[str], *, where: Where | None = None, limit: int | None = 10) -> list[Facet]:
        """Count documents by their values of a field: of the metadata, or `id`, `title` or `uri`.

        Args:
            field: A path, as `F` takes it. Of an array each element counts once for a document.
            where: Which documents count.
            limit: Most values, 1 to 100,000; None has all.

        Returns:
            Pairs of a value and the number of documents that have it, most frequent first, ties by value. Documents
            without the field, or with null or an object there, are not counted. `dict(...)` makes a mapping of it.

        Raises:
            InvalidFilter: The field or the filter cannot be understood.
            InvalidInput: The limit is out of range, or the field is a time.

        Round trips: 1.
        """
        if limit is not None:
            SearchOptions(limit)
        place = Field.of(field)
        check_spelling(place, self._config.fields)
        condition = self._condition(where)
        found = self._database.run(
            lambda connection: repository.facets(connection, self._tables, place, condition, limit)
        )
        return [Facet(*pair) for pair in found]

    def scan(self, where: Where | None = None) -> Generator[values.Document, None, None]:
        """Go through documents by id, all or those that match a filter, in constant memory.

        The documents are as they were when the first was asked for, whatever is written meanwhile. Until the iteration
        ends it holds a connection with an open transaction; inside `VectorDB.transaction` it uses that one.

        Raises:
            InvalidFilter: `where` cannot be understood.

        Round trips: 1 for every 1,000 chunks, and 6; inside a transaction 3.
        """
        condition = self._condition(where)
        return self._stream(condition)

    def _stream(self, condition: Filter | None) -> Generator[values.Document, None, None]:
        with self._database.reading() as connection:
            yield from repository.stream_documents(connection, self._tables, condition)

    def _encode(self, query: str | ArrayLike | None) -> bytes:
        if query is None:
            raise InvalidInput("search needs a query: a text, a vector, or examples in like=")
        if isinstance(query, str):
            query = self._embed([query])[0]
        return vectors.encode_query(query, self._config.space)

    def _encode_many(self, queries: Iterable[str | ArrayLike]) -> list[bytes]:
        if isinstance(queries, (str, bytes, Mapping)) or not isinstance(queries, Iterable):
            raise InvalidInput("search_many takes several queries, a list of texts or vectors; for one there is search")
        given = list(queries)
        texts = [query for query in given if isinstance(query, str)]
        embedded = iter(self._embed(texts)) if texts else iter(())
        return [
            vectors.encode_query(next(embedded) if isinstance(query, str) else query, self._config.space)
            for query in given
        ]

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        for text in texts:
            if not check_text(text, "the query").strip():
                raise InvalidInput("the query is empty; search for a text or a vector")
        return self.embedder.embed(texts, input_type="query")

    def _encode_examples(self, query: str | ArrayLike | None, like: list[str], unlike: list[str]) -> bytes:
        """Return a vector that is near the query and the examples, and far from the counterexamples."""
        if query is None and not like:
            raise InvalidInput("search needs a query, or examples in like=; unlike= alone points nowhere")
        found = self.vectors(like + unlike)
        for id in like + unlike:
            if id not in found:
                raise DocumentNotFound(f"{self.name} has no document with the id {id!r} and a vector", id=id)
        start = [] if query is None else [vectors.decode([self._encode(query)], self._config.space)]
        vector = example_vector(
            start + [found[id] for id in like], [found[id] for id in unlike], self._config.space.metric
        )
        return vectors.encode_query(vector, self._config.space)


def _options(
    limit: int | None,
    offset: int,
    min_score: float | None,
    exact: bool,
    strategy: str | None,
    ef_search: int | None,
    group_by: str | None,
    per_group: int,
    diversity: float | None,
) -> SearchOptions:
    if group_by not in (None, "document"):
        raise InvalidInput(f"group_by is 'document' or None, not {group_by!r:.40}")
    if group_by is None and per_group != 1:
        raise InvalidInput("per_group goes with group_by='document'")
    if per_group is None:
        raise InvalidInput("per_group is a whole number from 1 to 1000, not None")
    chosen = check_strategy(strategy, exact=exact)
    return SearchOptions(
        limit, offset, min_score, chosen, ef_search, None if group_by is None else per_group, diversity
    )


def _without(ids: list[str], where: Filter | None) -> Filter:
    others = Not(In(Field(("id",), own=True), tuple(ids)))
    return others if where is None else And((where, others))
