"""Searching a collection: what the caller asks for becomes queries, options and a filter; hits come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vectordb import repository, vectors
from vectordb.collection.examples import example_vector
from vectordb.collection.handle import DocumentId, Where, check_ids
from vectordb.collection.reading import Reading
from vectordb.collection.recall import Recall, measure_recall
from vectordb.collection.reranking import Reranking
from vectordb.documents import Results
from vectordb.errors import ConfigurationError, DocumentNotFound, InvalidInput
from vectordb.filters import And, Field, Filter, In, Not
from vectordb.fusion import Fusion
from vectordb.rerankers import Reranker
from vectordb.search.highlights import to_html
from vectordb.search.options import MAX_LIMIT, Mode, SearchOptions, check_mode, check_query, check_whole, choose_fusion
from vectordb.search.planning import check_strategy
from vectordb.searching import Query


class Searching(Reading):
    """The searching part of a collection."""

    def search(
        self,
        query: str | ArrayLike | None = None,
        *,
        limit: int | None = 10,
        offset: int = 0,
        where: Where | None = None,
        mode: str | None = None,
        fusion: Fusion | str | None = None,
        rerank: Reranker | None = None,
        rerank_depth: int | None = None,
        highlight: bool = False,
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
        """Find the chunks that fit a query best, best first.

        A text query goes by meaning (the vector) and by words (BM25) where the collection has a text index. In a text,
        `"a phrase"` has to occur, and `-word` must not.

        With a filter, the search chooses for itself whether to compare every row that matches or to use the
        index, by what the filter leaves over and what this table costs; `results.plan` tells which, and why. As many
        hits as asked for come back whenever that many match.

        Args:
            query: Text, or a vector of shape (dimensions,). May be left out when `like` is given. For BM25 the 64
                rarest words among the first 4,000 characters of a text count.
            limit: Most hits, 1 to 100,000. None has all hits that reach `min_score`, at most 100,000, and compares
                every row; by vector, unless `mode="text"` is given.
            offset: Hits to leave out first. Pages of one limit show every hit once, as long as nothing is written.
            where: Which documents count: a filter such as `F("year") >= 2020`, its JSON form, or a SQLAlchemy
                expression over `Document` and `Chunk` of this collection.
            mode: `vector`; `text`, which needs no embedder, and finds chunks with at least one word of the query; or
                `hybrid`. None is hybrid for a text where the collection has a text index, else vector.
            fusion: How a hybrid search makes one score of two: `Bounded`, `RRF`, `RelativeScore`, or `bounded`, `rrf`,
                `relative_score`, or a function of `vectordb.fusion.Candidates`. None is `Bounded(alpha=0.5)`; by
                inner product of vectors of any length `RelativeScore(alpha=0.5)`, because their scores have no bound.
            rerank: Orders the best hits anew: `CrossEncoder(...)` or another of `vectordb.rerankers`, or a function of
                the query and a list of texts that returns a score for each. Hits have its scores then.
            rerank_depth: Hits, or documents of a grouped search, that the reranker sees, 1 to 1,000. None has 50, or
                `limit` where that is more; `offset + limit` is at most that.
            highlight: Whether hits show where the words of the query occur, as HTML.
            min_score: Leave out hits below this score. Its scale is that of the mode; see `Hit.score`.
            exact: Compare every vector that matches instead of using the index; BM25 is always exact.
            strategy: `exact`, the same as `exact=True`, or `iterative`, which uses the index whatever the filter and
                may find fewer; None chooses.
            ef_search: HNSW candidates, 1 to 1000: more is better recall, slower. None has 80, or the
                server's setting where that is more. At least `limit` is used, and more where a filter needs it.
            like: Ids of documents to find more of the kind of; they themselves are left out. Goes by vector.
            unlike: Ids of documents to keep away from.
            group_by: `document` has the best chunk of each document, and `limit` counts documents.
            per_group: With `group_by`, most chunks of a document, 1 to 1000. With a fusion other than `Bounded`, whose
                scores depend on the candidates, these are chunks among the candidates.
            diversity: 0 to 1: how far to prefer hits unlike those before over hits nearer to the query (maximal
                marginal relevance over four times `limit` candidates, `limit` at most 1,000); hits are in the order
                of their choice. Goes by vector; not with `offset`, nor with more than one chunk per document.

        Returns:
            Hits by descending score, ties by document id and ordinal; and `plan`, how they were found.

        Raises:
            InvalidVector: The query is no finite vector, or has no direction under cosine.
            DimensionMismatch: It has another number of dimensions.
            InvalidFilter: `where` cannot be understood; `path` names the part of it.
            InvalidInput: Another argument is out of range, or two do not go together.
            DocumentNotFound: An example is not there.
            EmbedderMismatch: Not the embedder that fills this collection.
            ConfigurationError: A text query, and the collection has no embedder; or `mode` needs a text index.
            RerankingError: The reranker failed, or did not return one finite number for each text.
            DatabaseError: Or the kind that fits.

        Round trips: 1 without a filter; with one, 1 to 3 more to plan it unless it was planned within half a minute;
        one or two more where the index held too few rows; 1 more for highlights. Pages, groups and variety take
        several.
        """
        wanted, unwanted = (check_ids(() if ids is None else ids) for ids in (like, unlike))
        examples = bool(wanted or unwanted)
        chosen = self._mode(mode, query, simple=not examples and diversity is None and limit is not None)
        options = _options(
            limit=limit,
            offset=offset,
            min_score=min_score,
            exact=exact,
            strategy=strategy,
            ef_search=ef_search,
            group_by=group_by,
            per_group=per_group,
            diversity=diversity,
            mode=chosen,
            fusion=self._fusion(fusion, chosen),
        )
        condition = self._condition(where)
        if not examples:
            return self._found([query], options, condition, _reranking(rerank, rerank_depth), highlight=highlight)[0]
        if chosen is not Mode.VECTOR or rerank is not None or highlight:
            raise InvalidInput("like and unlike compare vectors; mode, rerank and highlight do not go with them")
        encoded = self._encode_examples(query, wanted, unwanted)
        return self._searcher.search(encoded, options, _without(wanted + unwanted, condition))

    def search_many(
        self,
        queries: Iterable[str | ArrayLike],
        *,
        limit: int | None = 10,
        offset: int = 0,
        where: Where | None = None,
        mode: str | None = None,
        fusion: Fusion | str | None = None,
        rerank: Reranker | None = None,
        rerank_depth: int | None = None,
        highlight: bool = False,
        min_score: float | None = None,
        exact: bool = False,
        strategy: str | None = None,
        ef_search: int | None = None,
        group_by: str | None = None,
        per_group: int = 1,
        diversity: float | None = None,
    ) -> list[Results]:
        """Find the chunks that fit each of many queries best.

        Args:
            queries: Texts, which are embedded in batches, or vectors; a matrix of shape (n, dimensions) is n vectors.
            limit: As all others, see `search`.
            offset: See `search`.
            where: See `search`.
            mode: See `search`; None chooses for texts and for vectors.
            fusion: See `search`.
            rerank: See `search`.
            rerank_depth: See `search`.
            highlight: See `search`.
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

        Round trips: By vector, as one `search` for all queries together; as one for each by text or hybrid, and with
        `offset`, `group_by`, `diversity` or `limit=None`.
        """
        given = _as_list(queries, "search_many")
        places: dict[Mode, list[int]] = {}
        for place, query in enumerate(given):
            chosen = self._mode(mode, query, simple=diversity is None and limit is not None)
            places.setdefault(chosen, []).append(place)
        if not given:  # the options are checked all the same
            places = {self._mode(mode, "", simple=diversity is None and limit is not None): []}
        condition, reranking = self._condition(where), _reranking(rerank, rerank_depth)
        found: dict[int, Results] = {}
        for chosen, mine in places.items():
            options = _options(
                limit=limit,
                offset=offset,
                min_score=min_score,
                exact=exact,
                strategy=strategy,
                ef_search=ef_search,
                group_by=group_by,
                per_group=per_group,
                diversity=diversity,
                mode=chosen,
                fusion=self._fusion(fusion, chosen),
            )
            parts = self._found([given[place] for place in mine], options, condition, reranking, highlight=highlight)
            found |= dict(zip(mine, parts, strict=True))
        return [found[place] for place in range(len(given))]

    def recall(
        self,
        queries: Iterable[str | ArrayLike],
        k: int = 10,
        *,
        where: Where | None = None,
        ef_search: int | None = None,
        strategy: str | None = None,
    ) -> Recall:
        """Measure how much of what an exact search finds the index finds, on your own queries.

        Args:
            queries: Texts or vectors, best such as your users ask; a hundred or more say something.
            k: Hits per query, 1 to 100,000.
            where: See `search`; goes for both.
            ef_search: Of the search by the index, see `search`.
            strategy: Likewise.

        Returns:
            Mean recall, that of each query, and which are worst.

        Raises:
            InvalidInput: There is no query, or an option is out of range.
            Errors: As `search`.

        Round trips: As two calls of `search_many`.
        """
        check_whole("k", k, 1, MAX_LIMIT)
        encoded = self._encode_many(_as_list(queries, "recall"))
        matrix = vectors.decode(encoded, self._config.space) if encoded else np.empty((0, self.dimensions), np.float32)
        return measure_recall(self.search_many, matrix, k, where=where, ef_search=ef_search, strategy=strategy)

    def _found(
        self,
        queries: list[Any],
        options: SearchOptions,
        condition: Filter | None,
        reranking: Reranking | None,
        *,
        highlight: bool,
    ) -> list[Results]:
        """Return what all stages find for queries of one mode."""
        if (reranking is not None or highlight) and not all(isinstance(query, str) for query in queries):
            raise InvalidInput("rerank and highlight need the words of the query; pass a text, not a vector")
        first = options if reranking is None else reranking.first_stage(options)
        encoded: list[bytes] | list[Query]
        if options.mode is Mode.VECTOR:
            encoded = self._encode_many(queries)
        else:
            texts = [check_query(query) for query in queries]
            of_texts = self._encode_many(queries) if options.mode is Mode.HYBRID else [None] * len(texts)
            encoded = [Query(*pair) for pair in zip(texts, of_texts, strict=True)]
        if len(encoded) == 1:
            found = [self._searcher.search(encoded[0], first, condition)]
        else:
            found = self._searcher.search_many(encoded, first, condition)
        if reranking is not None:
            found = [reranking.apply(*pair, options) for pair in zip(queries, found, strict=True)]
        return self._highlighted(queries, found) if highlight else found

    def _mode(self, mode: str | None, query: Any, *, simple: bool) -> Mode:
        """Return what a search goes by; `simple` is one that does not need vectors alone."""
        is_text = isinstance(query, str)
        if mode is None:
            return Mode.HYBRID if is_text and simple and self._tables.text_plan is not None else Mode.VECTOR
        chosen = check_mode(mode)
        if chosen is Mode.VECTOR:
            return chosen
        if self._tables.text_plan is None:
            raise ConfigurationError(
                f"the collection {self.name!r} has no text index, which mode={str(chosen)!r} needs; make one by "
                "docs.create_text_index(), or open the collection anew if somebody else has made one by now, or search "
                "with mode='vector'"
            )
        if not is_text:
            raise InvalidInput(f"mode={str(chosen)!r} needs the words of the query; pass a text, not a vector")
        return chosen

    def _fusion(self, fusion: Any, mode: Mode) -> Fusion:
        return choose_fusion(fusion, mode, self.metric, is_normalized=lambda: self.embedder.identity.normalized)

    def _highlighted(self, queries: list[str], found: list[Results]) -> list[Results]:
        """Return the same hits with their passages as HTML."""
        texts = [(query, hit.content) for query, results in zip(queries, found, strict=True) for hit in results]
        raw = iter(
            self._database.run(
                lambda connection: repository.highlight(connection, self._tables, self._config.text_config, texts)
            )
        )
        return [
            Results([hit._replace(highlight=to_html(next(raw))) for hit in results], results.plan) for results in found
        ]

    def _encode_many(self, queries: list[Any]) -> list[bytes]:
        texts = [check_query(query) for query in queries if isinstance(query, str)]
        if any(query is None for query in queries):
            raise InvalidInput("search needs a query: a text, a vector, or examples in like=")
        embedded = iter(self.embedder.embed(texts, input_type="query")) if texts else iter(())
        return [
            vectors.encode_query(next(embedded) if isinstance(query, str) else query, self._config.space)
            for query in queries
        ]

    def _encode_examples(self, query: str | ArrayLike | None, like: list[str], unlike: list[str]) -> bytes:
        """Return a vector that is near the query and the examples, and far from the counterexamples."""
        if query is None and not like:
            raise InvalidInput("search needs a query, or examples in like=; unlike= alone points nowhere")
        found = self.vectors(like + unlike)
        for id in like + unlike:
            if id not in found:
                raise DocumentNotFound(f"{self.name} has no document with the id {id!r} and a vector", id=id)
        start = [] if query is None else [vectors.decode(self._encode_many([query]), self._config.space)]
        vector = example_vector(
            start + [found[id] for id in like], [found[id] for id in unlike], self._config.space.metric
        )
        return vectors.encode_query(vector, self._config.space)


def _options(
    *, exact: bool, strategy: str | None, group_by: str | None, per_group: int, **others: Any
) -> SearchOptions:
    if group_by not in (None, "document"):
        raise InvalidInput(f"group_by is 'document' or None, not {group_by!r:.40}")
    if group_by is None and per_group != 1:
        raise InvalidInput("per_group goes with group_by='document'")
    if per_group is None:
        raise InvalidInput("per_group is a whole number from 1 to 1000, not None")
    return SearchOptions(
        strategy=check_strategy(strategy, exact=exact), per_group=None if group_by is None else per_group, **others
    )


def _reranking(rerank: Reranker | None, depth: int | None) -> Reranking | None:
    if rerank is None:
        if depth is not None:
            raise InvalidInput("rerank_depth goes with rerank")
        return None
    return Reranking(rerank, depth)


def _as_list(queries: Any, name: str) -> list[Any]:
    if isinstance(queries, (str, bytes, Mapping)) or not isinstance(queries, Iterable):
        raise InvalidInput(f"{name} takes several queries, a list of texts or vectors; for one there is search")
    return list(queries)


def _without(ids: list[str], where: Filter | None) -> Filter:
    others = Not(In(Field(("id",), own=True), tuple(ids)))
    return others if where is None else And((where, others))
