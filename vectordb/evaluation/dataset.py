"""Queries with judgements, and the documents they are about: from a folder, or from tables of the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa

from vectordb.documents import Document
from vectordb.errors import InvalidInput
from vectordb.evaluation.files import Corpus, find_file, read_judgements, read_queries
from vectordb.evaluation.tables import HasTransactions, read_table

_TEST = "test"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What an evaluation needs.

    Args:
        queries: Texts by id.
        judgements: Grades by document, by query: 1 and above is relevant, the higher the more so.
        documents: The corpus; goes through the file anew each time. Empty where it is in the collection already.
        name: Shown in reports.
    """

    queries: Mapping[str, str] = field(repr=False)
    judgements: Mapping[str, Mapping[str, int]] = field(repr=False)
    documents: Iterable[Document] = field(default=(), repr=False)
    name: str = ""

    @classmethod
    def from_tables(
        cls,
        db: HasTransactions,
        *,
        queries: str | sa.Select[tuple[object, ...]],
        judgements: str | sa.Select[tuple[object, ...]],
    ) -> Dataset:
        """Read queries and judgements from tables, views or queries of your own.

        Args:
            db: The open database.
            queries: Name of a table, with its schema where need be (`quality.queries`), or a `Select`, with the columns
                `query_id` and `text`.
            judgements: Likewise, with `query_id`, `document_id` and `grade`, a whole number.

        Raises:
            InvalidInput: There is no such table, a column is missing, a value is NULL or twice there, or a grade is no
                whole number.
            DatabaseError: Or the kind that fits.
        """
        with db.transaction() as connection:
            texts = read_table(connection, queries, ("query_id",), "text")
            grades = read_table(connection, judgements, ("query_id", "document_id"), "grade")
        by_query: dict[str, dict[str, int]] = {}
        for (query, document), grade in grades.items():
            by_query.setdefault(query, {})[document] = _whole(grade, query, document)
        return cls({query: str(text) for (query,), text in texts.items()}, by_query, name="tables")

    @property
    def answerable(self) -> list[str]:
        """Ids of the queries that have both a text and judgements, in the order of the judgements."""
        return [query for query in self.judgements if query in self.queries]

    @property
    def unknown_queries(self) -> list[str]:
        """Ids of queries that are judged, but have no text."""
        return [query for query in self.judgements if query not in self.queries]

    def first(self, count: int) -> Dataset:
        """Return the same data set with its first judged queries alone.

        Raises:
            InvalidInput: `count` is below 1.
        """
        if count < 1:
            raise InvalidInput(f"the number of queries is at least 1, not {count}")
        kept = self.answerable[:count]
        return replace(self, judgements={query: self.judgements[query] for query in [*kept, *self.unknown_queries]})


def load_dataset(folder: str | Path, *, split: str = _TEST) -> Dataset:
    """Open a folder with queries and judgements, and a corpus where it is needed.

    Two layouts are known, each file plain or with `.gz`. That of BEIR: `corpus.jsonl` (`_id`, `title`, `text`),
    `queries.jsonl` (`_id`, `text`) and `qrels/<split>.tsv` with the heading `query-id corpus-id score`. And a flat one:
    `corpus.jsonl` (`id`, `title`, `text`), `queries.jsonl` (`id`, `text`) and `qrels.tsv` with the heading
    `query_id doc_id grade`, where another split than `test` puts its name in front: `train_qrels.tsv`,
    `train_queries.jsonl`.

    The content of a document is its title and its text with a blank between, as BEIR's models read it; other keys
    become metadata. The corpus is read while it is used; until then its file may be missing.

    Args:
        folder: With the files.
        split: Which judgements.

    Raises:
        InvalidInput: A file is missing or cannot be read; `path` names it, and `line` the line, from 1.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InvalidInput(f"there is no folder {place}", path=str(place))
    if not split.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(f"a split is a name such as test, dev or train, not {split!r:.40}")
    prefix = "" if split == _TEST else f"{split}_"
    judgements = find_file(place, f"qrels/{split}.tsv", f"{split}_qrels.tsv", f"{prefix}qrels.tsv")
    queries = find_file(place, f"{split}_queries.jsonl", "queries.jsonl")
    return Dataset(read_queries(queries), read_judgements(judgements), Corpus(place), place.resolve().name)


def _whole(grade: object, query: str, document: str) -> int:
    try:
        number = int(grade)  # type: ignore[call-overload] # whatever a column holds
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != grade:
        raise InvalidInput(f"the grade of document {document!r:.60} for query {query!r:.60} is no whole number")
    return int(number)
