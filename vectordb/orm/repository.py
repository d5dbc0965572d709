"""`Repository`: search and upsert of an application's own model, in its own session and transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Generic

from numpy.typing import ArrayLike
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from vectordb import vectors
from vectordb.documents import UpsertResult
from vectordb.embedders import Embedder
from vectordb.embedders.resolving import as_embedder
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.fusion import RRF, Bounded, Fusion, RelativeScore
from vectordb.metrics import VectorSpace
from vectordb.orm import upserting
from vectordb.orm.binding import ColumnEmbedder
from vectordb.orm.catalogue import has_text_index, unqualified_table
from vectordb.orm.conditions import model_condition
from vectordb.orm.hits import Entity, EntityResults, Hit
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.searching import Searchers, SessionSource, as_text, loader_options, score_select, with_values
from vectordb.orm.sessions import aside, connected, either_session, translated
from vectordb.search.options import MAX_LIMIT, Mode, SearchOptions, check_mode, check_query, check_whole, choose_fusion
from vectordb.search.planning import DEFAULT_EF_SEARCH, Access, Strategy, check_strategy
from vectordb.search.statements import settings_condition
from vectordb.search.text import Depth, hybrid_statement, text_statement
from vectordb.searching import Found, Query, Ranked
from vectordb.vector_types import BinaryParameter

_EVERY_ROW = 2**31 - 1


class Repository(Generic[Entity]):
    """Searches and fills one embedding column of a model, always in the session that the caller passes.

    Nothing is committed, and nothing is connected to before a session comes. Every method that takes a `Session` takes
    an `AsyncSession` as well, and has to be awaited then. Safe to share between threads.

    Args:
        model: A mapped class with an `embedding_column`.
        embedder: An embedder, the name or folder of a sentence-transformers model, or a function from a list of texts
            to their vectors; None is the default model. It is loaded when the first text comes.
        column: Attribute of the embedding; needed where the model has several.
    """

    def __init__(
        self,
        model: type[Entity],
        embedder: Embedder | str | os.PathLike[str] | Callable[..., Any] | None = None,
        *,
        column: str | None = None,
    ) -> None:
        self.model = model
        self._column = column
        self._given = as_embedder(embedder)

    @cached_property
    def mapping(self) -> ModelMapping:
        """What the model declares.

        Raises:
            ConfigurationError: Not a mapped class, no embedding column, or several and none is named.
        """
        return ModelMapping.of(self.model, self._column)

    @property
    def embedder(self) -> Embedder:
        """What makes vectors of texts.

        Raises:
            EmbedderMismatch: Its vectors have other dimensions than the column.
        """
        return self._binding.embedder

    @cached_property
    def _binding(self) -> ColumnEmbedder:
        return ColumnEmbedder(self.mapping, self._given)

    @property
    def _space(self) -> VectorSpace:
        return self.mapping.declaration.space

    @cached_property
    def _searchers(self) -> Searchers:
        return Searchers(self.mapping)

    @either_session
    def upsert(
        self,
        session: Session,
        rows: Mapping[str, Any] | Entity | Iterable[Mapping[str, Any] | Entity],
        *,
        batch_size: int = upserting.BATCH_SIZE,
    ) -> UpsertResult:
        """Insert rows that are not stored, update those that are, and embed the texts that are new or changed.

        See `vectordb.orm.upserting.upsert`, which has everything about it.
        """
        return upserting.upsert(
            self.mapping, lambda: aside(lambda: self.embedder), session, rows, batch_size=batch_size
        )

    @either_session
    def search(
        self,
        session: Session,
        query: str | ArrayLike,
        *,
        where: Any = (),
        join: Any = (),
        limit: int | None = 10,
        offset: int = 0,
        mode: str | None = None,
        fusion: Fusion | str | None = None,
        min_score: float | None = None,
        exact: bool = False,
        strategy: str | None = None,
        ef_search: int | None = None,
        options: Any = (),
    ) -> EntityResults[Entity]:
        """Find the entities that fit a query best, best first.

        A text query goes by meaning (the vector) and by words (BM25) where the model has a text index. In a text,
        `"a phrase"` has to occur, and `-word` must not. Rows without an embedding are found by their text only.

        The search runs in the session's transaction: what was written there is found, pending instances are flushed
        first, and pgvector's settings are afterwards what they were.

        Args:
            session: Of the application, also a scoped one; an `AsyncSession`, too, and then the call has to be awaited.
            query: A text, or a vector of shape (dimensions,).
            where: A SQLAlchemy condition on the model or several, all of which have to hold. Other tables may occur in
                `Product.category.has(...)`, `.any(...)`, `.in_(select(...))`, or plainly where they are joined.
            join: Relationships such as `Product.category`, or pairs of a target and a condition. An entity counts where
                any of the rows joined to it satisfy the conditions together, and never comes twice.
            limit: Most hits, 1 to 100,000. None returns all that reach `min_score`.
            offset: Hits to leave out first, 0 to 100,000.
            mode: `vector`, `text` (BM25), or `hybrid`; None chooses.
            fusion: Of a hybrid search: `Bounded(alpha=0.5)` unless given, `RRF(...)`, `RelativeScore(...)`, or a
                function.
            min_score: Leave out hits below this score. Its scale is that of the mode; see `Hit.score`.
            exact: Compare every vector that matches instead of using the index; BM25 is always exact.
            strategy: `exact`, or `iterative`, which uses the index whatever the conditions; None chooses.
            ef_search: HNSW candidates, 1 to 1000. None has 80, or the server's setting where that is more.
            options: A loader option for the entities or several, for example `selectinload(Product.category)`. Criteria
                among them, as of `with_loader_criteria`, leave out what was found already; conditions belong into
                `where`.

        Returns:
            Hits by descending score, ties by primary key; and `plan`, how they were found.

        Raises:
            ConfigurationError: The model has no embedding column, or no text index, which `mode` needs; or the session
                uses another driver than psycopg.
            EmbedderMismatch: The table was filled by another embedder.
            InvalidFilter: A condition cannot be understood, or names a table that is not joined.
            InvalidInput: Another argument is out of range, or two do not go together.
            InvalidVector: The query is no finite vector, or has no direction under cosine.
            SchemaError: There is no such table.
            DatabaseError: Or the kind that fits.

        Warns:
            IndexMismatchWarning: The index over the embeddings is of another metric than the column.

        Round trips: 1 without conditions; with some, 1 to 3 more to plan them unless they were planned within half a
        minute; one or two more where the index held too few rows; one a minute to look at the catalogue, and one to
        look at what embedder filled the table. Later pages take several.
        """
        connection = connected(session, self.mapping.mapper, flush=True)
        with translated(connection):
            searcher = self._searchers.of(connection)
            has_text = searcher.live.tables.text_plan is not None
            if mode is None and limit is None:
                mode = "vector"
            chosen = self._mode(mode, query, has_text=has_text)
            checked = SearchOptions(
                limit=limit,
                offset=offset,
                min_score=min_score,
                strategy=check_strategy(strategy, exact=exact),
                ef_search=ef_search,
                mode=chosen,
                fusion=self._fusion(fusion, chosen),
            )
            translate = connection.get_execution_options().get("schema_translate_map")
            condition = model_condition(self.mapping, where, join, translate)
            encoded = None if chosen is Mode.TEXT else self._binding.encode(query, session)
            source = SessionSource(session, connection, self.mapping, loader_options(options))
            if chosen is Mode.VECTOR:
                assert encoded is not None  # noqa: S101 - only a search by text has none
                return self._near(searcher.vectors.find(source, encoded, checked, condition), checked)
            assert isinstance(query, str)  # noqa: S101 - checked with the mode
            return self._best(searcher.ranked.find(source, Query(query, encoded), checked, condition), checked)

    def nearest(
        self, query: str | ArrayLike, *, exact: bool = False, ef_search: int | None = None, label: str = "distance"
    ) -> Select[Entity, float]:
        """Return a SELECT of entities and their `distance` from a query, nearest first.

        It composes: join, filter, limit, offset and count as with any other. By the index it goes on until enough rows
        have passed the conditions (`strict_order`), so that a limit is reached whenever so many match; which plan it
        has is up to PostgreSQL, and `search` knows better. Rows of one distance have no order: for pages that neither
        repeat nor lose one, add `.order_by(Model.id)`, with which PostgreSQL 17 and newer still use the index. In a
        transaction pgvector's settings stay with the values that it needs until the end.

        Args:
            query: A text, or a vector of shape (dimensions,).
            exact: Compare every row that matches instead of using the index.
            ef_search: HNSW candidates of one pass, 1 to 1000. None has 80, or the server's setting where that is more.
            label: Another name for the distance, where a subquery has a column `distance` of the model beside it.

        Returns:
            A SELECT without a limit; rows without an embedding are left out.

        Raises:
            Errors: As `search`, as far as they do not depend on a database.
        """
        if ef_search is not None:
            check_whole("ef_search", ef_search, 1, 1_000)
        encoded = self._binding.encode(query)
        column = getattr(self.model, self.mapping.attribute)
        operand = vectors.decode([encoded], self._space)[0]
        distance = column.distance(operand, self._space.metric).label(label)
        found = select(self.model, distance).where(column.is_not(None))
        index = self.mapping.declaration.index
        if exact or index is None:
            # An expression over the distance is one that no index can order by.
            return found.order_by(column.distance(operand, self._space.metric) + 0.0)
        return found.where(as_text(settings_condition(_iterative(index.method, ef_search)))).order_by(
            column.distance(operand, self._space.metric)
        )

    def ranked(
        self,
        query: str,
        *,
        where: Any = (),
        join: Any = (),
        mode: str | None = None,
        fusion: Fusion | str | None = None,
        candidates: int = 1_000,
        ef_search: int | None = None,
        label: str = "score",
    ) -> Select[Entity, float]:
        """Return a SELECT of entities and their `score` for a text, best first: BM25, or hybrid.

        It composes as any other. What it is about are the best `candidates` of each half; conditions that leave over
        little of the table belong into `where`, which both halves obey, and not only into `.where(...)`. Tables are
        found as the search_path has them: a `schema_translate_map` is for `search`.

        Args:
            query: A text.
            where: As of `search`.
            join: As of `search`.
            mode: `text` or `hybrid`; None is hybrid.
            fusion: As of `search`, but no function.
            candidates: Rows of each half, 1 to 100,000.
            ef_search: As of `nearest`.
            label: Another name for the score, where a subquery has a column `score` of the model beside it.

        Returns:
            A SELECT without a limit.

        Raises:
            Errors: As `search`, as far as they do not depend on a database.
        """
        check_whole("candidates", candidates, 1, MAX_LIMIT)
        if ef_search is not None:
            check_whole("ef_search", ef_search, 1, 1_000)
        has_text = has_text_index(self.mapping)
        chosen = self._mode(mode or ("hybrid" if has_text else "text"), query, has_text=has_text)
        if chosen is Mode.VECTOR:
            raise InvalidInput("ranked goes by text; nearest(query) goes by vector alone")
        fused = self._fusion(fusion, chosen)
        if not isinstance(fused, Bounded | RRF | RelativeScore):
            raise InvalidInput("a SELECT needs a fusion that SQL knows: Bounded(...), RRF(...) or RelativeScore(...)")
        tables, condition = unqualified_table(self.mapping), model_condition(self.mapping, where, join)
        parameters: dict[str, Any] = {"text": check_query(query)}
        if chosen is Mode.TEXT:
            statement = text_statement(tables, candidates, condition)
        else:
            index = self.mapping.declaration.index
            access = Access(Strategy.EXACT) if index is None else _iterative(index.method, ef_search)
            depth = Depth(2 * candidates, candidates)
            statement = hybrid_statement(tables, self._space, access, depth, fused, condition, demanding=True)
            parameters["query"] = BinaryParameter(self._binding.encode(query))
        found = with_values(as_text(statement.sql), {**statement.parameters, **parameters})
        return score_select(self.mapping, found, hybrid=chosen is Mode.HYBRID, label=label)

    def _mode(self, mode: str | None, query: Any, *, has_text: bool) -> Mode:
        is_text = isinstance(query, str)
        if mode is None:
            return Mode.HYBRID if is_text and has_text else Mode.VECTOR
        chosen = check_mode(mode)
        if chosen is Mode.VECTOR:
            return chosen
        if not has_text:
            raise ConfigurationError(
                f"{self.model.__name__} has no text index, which mode={str(chosen)!r} needs; declare a "
                "text_search_column(...) and migrate, or search with mode='vector'"
            )
        if not is_text:
            raise InvalidInput(f"mode={str(chosen)!r} needs the words of the query; pass a text, not a vector")
        return chosen

    def _fusion(self, fusion: Any, mode: Mode) -> Fusion:
        return choose_fusion(
            fusion,
            mode,
            self._space.metric,
            is_normalized=lambda: aside(lambda: self.embedder).identity.normalized,
        )

    def _near(self, found: Found, options: SearchOptions) -> EntityResults[Entity]:
        score = self._space.score
        hits: list[Hit[Entity]] = [
            Hit(row[2], value := score(row[4]), row[4], rank, value)  # type: ignore[arg-type] # an entity, here
            for rank, row in enumerate(found.rows, options.offset + 1)
        ]
        return _reaching(hits, found, options)

    def _best(self, found: Ranked, options: SearchOptions) -> EntityResults[Entity]:
        hits: list[Hit[Entity]] = [
            Hit(
                row.content,  # type: ignore[arg-type] # an entity, here
                row.score,
                row.distance,
                row.vector_rank,
                None if row.distance is None else self._space.score(row.distance),
                row.text_rank,
                row.text_score,
            )
            for row in found.rows
        ]
        return _reaching(hits, found, options)


def _reaching(hits: list[Hit[Entity]], found: Found | Ranked, options: SearchOptions) -> EntityResults[Entity]:
    if options.min_score is not None:
        least = options.min_score
        hits = [hit for hit in hits if hit.score >= least]
    return EntityResults(hits, found.plan)


def _iterative(method: str, ef_search: int | None) -> Access:
    return Access(
        Strategy.ITERATIVE,
        method,
        candidates=ef_search or DEFAULT_EF_SEARCH,
        explicit=ef_search is not None,
        filtered=True,
        visits=_EVERY_ROW,
        # IVFFlat knows no other order.
        order="strict_order" if method == "hnsw" else "relaxed_order",
    )
