"""What of a mapped class a search needs: its table, key, embedding and text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import Mapper

from vectordb.columns import Embedding, TextSearch, embedding_of, hash_column_of, text_search_of
from vectordb.errors import ConfigurationError, InvalidInput


@dataclass(frozen=True, eq=False)
class ModelMapping:
    """A mapped class and one of its embedding columns.

    Attributes:
        model: The class.
        mapper: SQLAlchemy's, of the class.
        table: The one that holds the embedding; of a class that inherits, perhaps its parent's.
        keys: Primary key of that table.
        embedding: The column.
        attribute: Name of the embedding in the class.
        declaration: What the column declares.
        hash_column: Beside the embedding.
        text: Text search column of that table, the indexed one if there are several; None if there is none.
        text_declaration: What that column declares.
    """

    model: type[Any]
    mapper: Mapper[Any]
    table: Table
    keys: tuple[Column[Any], ...]
    embedding: Column[Any]
    attribute: str
    declaration: Embedding
    hash_column: Column[Any]
    text: Column[Any] | None
    text_declaration: TextSearch | None

    @classmethod
    def of(cls, model: type[Any], column: str | None = None) -> ModelMapping:
        """Read the mapping of a class.

        Args:
            model: A mapped class.
            column: Attribute of the embedding; may be left out if the class has one.

        Raises:
            ConfigurationError: Not a mapped class, no embedding column, several and none named, or none of this name.
        """
        mapper = inspect(model, raiseerr=False) if isinstance(model, type) else None
        if not isinstance(mapper, Mapper):
            raise ConfigurationError(f"{_name(model)} is not a mapped class; give a class with a table of its own")
        attribute, embedding, declaration = _chosen(model, mapper, column)
        text = _text_of(mapper, embedding.table)
        return cls(
            model=model,
            mapper=mapper,
            table=embedding.table,
            keys=tuple(embedding.table.primary_key.columns),
            embedding=embedding,
            attribute=attribute,
            declaration=declaration,
            hash_column=hash_column_of(embedding),
            text=text,
            text_declaration=text_search_of(text),
        )

    def source_text(self, instance_or_row: Any) -> str | None:
        """Return the text to embed; None where it is None, empty or blank: such rows have no vector.

        Args:
            instance_or_row: An instance of the class, or a mapping from names of its attributes to values.

        Raises:
            InvalidInput: An instance of another class, a row that lacks a source, or a source that is no text.
        """
        source = self.declaration.source
        if source is None:
            return None
        if not isinstance(instance_or_row, (Mapping, self.model)):
            raise InvalidInput(
                f"give instances of {_name(self.model)} or mappings, not {type(instance_or_row).__name__}"
            )
        if callable(source):
            parts = [self._checked(source(instance_or_row), "the function that is its source")]
        else:
            parts = [self._checked(self._value(instance_or_row, name), name) for name in self.declaration.sources]
        return joined(parts)

    def _value(self, instance_or_row: Any, name: str) -> Any:
        if not isinstance(instance_or_row, Mapping):
            return getattr(instance_or_row, name)
        if name not in instance_or_row:
            raise InvalidInput(
                f"a row of {_name(self.model)} lacks {name!r}, of which its {self.attribute} is made; "
                "give it, None where there is no such text",
                attribute=name,
            )
        return instance_or_row[name]

    def _checked(self, value: Any, name: str) -> str | None:
        if value is None or isinstance(value, str):
            return value
        raise InvalidInput(
            f"{self.attribute} of {_name(self.model)} is made of text, and {name} is of type {type(value).__name__}",
            attribute=name,
        )


def joined(parts: Iterable[str | None]) -> str | None:
    """Return texts joined by a blank line, without those that are None or blank; None if nothing is left."""
    return "\n\n".join([part for part in parts if part and part.strip()]) or None


def _chosen(model: type[Any], mapper: Mapper[Any], column: str | None) -> tuple[str, Column[Any], Embedding]:
    found = {name: (c, declared) for name, c in mapper.columns.items() if (declared := embedding_of(c)) is not None}
    names = ", ".join(map(repr, found))
    if not found:
        raise ConfigurationError(
            f"{_name(model)} has no embedding column; declare one with vectordb.orm.embedding_column"
        )
    if column is None and len(found) > 1:
        raise ConfigurationError(f"{_name(model)} has the embedding columns {names}; say which one with column=…")
    chosen = next(iter(found)) if column is None else column
    if chosen not in found:
        raise ConfigurationError(f"{_name(model)} has no embedding column {chosen!r:.60}; it has {names}")
    return chosen, *found[chosen]


def _text_of(mapper: Mapper[Any], table: Any) -> Column[Any] | None:
    found = [c for c in mapper.columns if isinstance(c, Column) and c.table is table and text_search_of(c) is not None]
    indexed = [c for c in found if (declared := text_search_of(c)) is not None and declared.index is not None]
    return next(iter((*indexed, *found)), None)


def _name(model: Any) -> str:
    return model.__name__ if isinstance(model, type) else f"{model!r:.60}"
