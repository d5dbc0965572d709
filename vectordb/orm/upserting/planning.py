"""What is to become of the rows of a batch: their keys, what is stored of them, their texts and vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

from vectordb.embedders import Embedder
from vectordb.errors import DuplicateDocument, InvalidInput
from vectordb.orm.hashing import text_hashes
from vectordb.orm.mapping import joined
from vectordb.orm.upserting import statements
from vectordb.orm.upserting.defaults import Defaults
from vectordb.orm.upserting.embedding import Embeddings
from vectordb.orm.upserting.rows import Rows
from vectordb.orm.upserting.table import WrittenTable

_ABSENT: Final = (None,)


class RowPlanner:
    """Plans the rows of one call.

    Args:
        table: Written to.
        defaults: Of the model.
        embedder: Returns the embedder when the first text comes.
    """

    def __init__(self, table: WrittenTable, defaults: Defaults, embedder: Callable[[], Embedder]) -> None:
        self._table = table
        self._attributes = table.attributes
        self._mapping = table.attributes.mapping
        self._defaults = defaults
        self._embeddings = Embeddings(table, embedder)
        self._seen: set[tuple[Any, ...]] = set()

    def plan(self, groups: Sequence[Rows], *, look: bool) -> None:
        """Complete rows with their keys, what is stored of them, and their vectors.

        Args:
            groups: Of a batch.
            look: Whether to find what is stored, in 1 round trip if any row has a key.
        """
        self._embeddings.begin_batch()
        for rows in groups:
            self._complete_keys(rows)
        if look:
            self._find([rows for rows in groups if rows.keys is not None])
        self._plan_vectors(groups)

    def plan_again(self, rows: Rows) -> None:
        """Look for rows, and plan anew what to do with them; no text is embedded twice."""
        self._find([rows])
        self._plan_vectors([rows])

    @property
    def embedded(self) -> int:
        """How many texts of the batch were embedded."""
        return self._embeddings.count

    def _complete_keys(self, rows: Rows) -> None:
        made = self._defaults.key(rows)
        if made is None:
            return
        rows.columns |= made
        rows.names = (*rows.names, *made)
        rows.keys = list(zip(*(rows.columns[name] for name in self._attributes.keys), strict=True))
        keys = set(rows.keys)
        if len(keys) < len(rows) or not self._seen.isdisjoint(keys):
            self._refuse_duplicate(rows.numbers, rows.keys)
        self._seen |= keys

    def _refuse_duplicate(self, numbers: Iterable[int], keys: Iterable[tuple[Any, ...]]) -> None:
        for number, key in zip(numbers, keys, strict=True):
            if key in self._seen:
                raise DuplicateDocument(
                    f"row {number} has the key ({', '.join(self._attributes.keys)}) of another row of this call; keep"
                    " one of the two",
                    id=key if len(key) > 1 else key[0],
                    document=number,
                )
            self._seen.add(key)

    def _find(self, groups: Sequence[Rows]) -> None:
        if not groups:
            return
        keys = list(chain.from_iterable(rows.keys or () for rows in groups))
        numbers = list(chain.from_iterable(rows.numbers for rows in groups))
        places = [(rows, i) for rows in groups for i in range(len(rows))]
        further = self._sources if any(self._gives_part_of_source(rows) for rows in groups) else ()
        quoted = [self._table.parameter(name).name for name in further]
        statement = statements.stored(self._table.target, quoted)
        parameters = self._table.keys("k", keys, numbers)
        for found in self._table.connection.execute(statement, parameters, binary=True):
            rows, i = places[found[0] - 1]
            rows.stored[i] = found[1:]
        for rows in groups:
            rows.looked_for = True

    @cached_property
    def _sources(self) -> tuple[str, ...]:
        """Attributes of the source that are columns, if all are."""
        sources = self._mapping.declaration.sources
        return sources if all(name in self._attributes.columns for name in sources) else ()

    def _gives_part_of_source(self, rows: Rows) -> bool:
        if rows.managed or rows.vectors is not None:
            return False
        return 0 < sum(name in rows.columns for name in self._sources) < len(self._sources)

    def _plan_vectors(self, groups: Sequence[Rows]) -> None:
        by_text = [rows for rows in groups if rows.vectors is None]
        for rows in groups:
            if rows.vectors is not None:
                self._embeddings.take(rows)
            elif self._mapping.declaration.source is None:
                rows.writes, rows.texts = [False] * len(rows), [None] * len(rows)
            else:
                self._plan_texts(rows)
        self._embeddings.embed(chain.from_iterable(rows.texts for rows in by_text))
        for rows in by_text:
            self._embeddings.assign(rows)

    def _plan_texts(self, rows: Rows) -> None:
        """Decide which rows need a vector of their text, or none where they had one."""
        texts = self._texts(rows)
        writes = [True] * len(rows)
        if texts.count(None) < len(texts):
            rows.embedder = self._embeddings.key
            self._check_unicode(rows, texts)
        keeps = self._gives_no_source(rows)
        present = text_hashes(rows.embedder, [texts[i] for i in rows.stored])
        for (i, (hash, has_vector, *_)), made in zip(rows.stored.items(), present, strict=True):
            if made is not None and hash is not None and not hash.startswith(rows.embedder):
                self._embeddings.check_filled_by(hash)
            if keeps or (made is not None and hash == made and has_vector):
                writes[i], texts[i] = False, None
        rows.writes, rows.texts = writes, texts

    def _gives_no_source(self, rows: Rows) -> bool:
        sources = self._mapping.declaration.sources
        if rows.managed or (rows.instances and not self._sources):
            return False
        return bool(sources) and not any(name in rows.columns for name in sources)

    def _check_unicode(self, rows: Rows, texts: Sequence[str | None]) -> None:
        try:
            "".join(filter(None, texts)).encode()
        except UnicodeEncodeError:
            for number, text in zip(rows.numbers, texts, strict=True):
                if text is not None and any("\ud800" <= character <= "\udfff" for character in text):
                    raise InvalidInput(
                        f"row {number}: the text to embed holds a lone surrogate (text decoded wrongly); replace it"
                        " with U+FFFD",
                        row=number,
                    ) from None
            raise

    def _texts(self, rows: Rows) -> list[str | None]:
        """Return what each row's embedding is made of; None for none."""
        sources = self._mapping.declaration.sources
        if rows.managed or not sources or (rows.instances and not self._sources):
            return [self._text(number, given) for number, given in zip(rows.numbers, rows.given, strict=True)]
        parts = [rows.columns.get(name) or _ABSENT * len(rows) for name in sources]
        if self._gives_part_of_source(rows):
            parts = [self._with_stored(rows, name, place) for place, name in enumerate(sources)]
        if set(map(type, chain.from_iterable(parts))) <= {str, type(None)}:
            if len(parts) == 1:
                return [part if part and not part.isspace() else None for part in parts[0]]
            return list(map(joined, zip(*parts, strict=True)))
        given = (dict(zip(sources, row, strict=True)) for row in zip(*parts, strict=True))
        return [self._text(number, one) for number, one in zip(rows.numbers, given, strict=True)]

    def _with_stored(self, rows: Rows, name: str, place: int) -> Sequence[Any]:
        """Return a part of the source, as it is stored where the rows do not give it."""
        if name in rows.columns:
            return rows.columns[name]
        load, column = self._table.connection.loaded, (self._attributes.columns[name],)
        found = {i: load(column, stored[2 + place : 3 + place])[0] for i, stored in rows.stored.items()}
        return [found.get(i) for i in range(len(rows))]

    def _text(self, number: int, given: Any) -> str | None:
        try:
            return self._mapping.source_text(given)
        except InvalidInput as error:
            raise type(error)(f"row {number}: {error}", **{**error.facts, "row": number}) from None
