"""The demonstration: a real text that every Python carries, searched by meaning.

The language reference in `pydoc_data.topics` becomes a collection, a document for each topic. Three questions,
none in the words of the text, are then answered by the topics that hold the nearest passages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vectordb.chunking import Chunking
from vectordb.client import VectorDB
from vectordb.collection import Collection
from vectordb.documents import Document, Hit, Results, UpsertResult
from vectordb.validation import check_text

COLLECTION = "python_reference"
# About a paragraph, with the end of the one before. In chunks as long as the model can read, the one sentence that
# speaks of cleanup code drowns, and the debugger's commands for leaving a block of code come first.
CHUNKING = Chunking(size=80, overlap=20)

# Several passages of one topic may be near; so many are read to find some of other topics.
_PASSAGES_PER_TOPIC = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the topics that answer it.

    Attributes:
        text: As a beginner would ask it.
        topics: Those that explain the matter; any of them is a right answer. `compound` repeats
            `try` and `with`, and `execmodel` repeats `exceptions`.
    """

    text: str
    topics: frozenset[str]


QUESTIONS = (
    Question("how do I catch an error?", frozenset({"try", "exceptions", "compound", "execmodel"})),
    Question("what happens when I divide integers?", frozenset({"binary"})),
    Question(
        "run cleanup code when leaving a block",
        frozenset({"with", "context-managers", "try", "exceptions", "compound", "execmodel"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Indexed:
    """What indexing the reference did.

    Attributes:
        topics: Documents in the collection.
        counts: Of the upsert; all unchanged when the reference was there.
        seconds: It took, with loading the model.
    """

    topics: int
    counts: UpsertResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reference says to a question.

    Attributes:
        question: As asked.
        passages: The nearest passage of each topic, best first.
        embedding_seconds: To make a vector of the question.
        database_seconds: To find the passages.
    """

    question: str
    passages: Results
    embedding_seconds: float
    database_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready values."""
        return {**asdict(self), "passages": self.passages.to_dicts()}


def open_reference(db: VectorDB) -> Collection:
    """Open the collection of the demonstration, or create it."""
    return db.get_or_create_collection(COLLECTION, chunking=CHUNKING)


def index_reference(reference: Collection, on_progress: Callable[[int, int], None] | None = None) -> Indexed:
    """Store Python's language reference, a document for each topic.

    Args:
        reference: The collection; what it holds already is not embedded again.
        on_progress: Called with the passages embedded so far, and those known to need it.
    """
    from pydoc_data.topics import topics

    started = time.perf_counter()
    documents = [Document(text, id=topic, title=_heading(text)) for topic, text in topics.items()]
    counts = reference.upsert(documents, on_progress=on_progress)
    return Indexed(len(documents), counts, time.perf_counter() - started)


def ask(reference: Collection, question: str, *, limit: int = 3) -> Answer:
    """Answer a question by the topics with the nearest passages.

    Args:
        reference: The collection, filled.
        question: In plain words.
        limit: Most topics.

    Raises:
        InvalidText: The question holds NUL or a lone surrogate.
    """
    checked = check_text(question, "the question")
    started = time.perf_counter()
    vector = reference.embedder.embed([checked], input_type="query")[0]
    embedded = time.perf_counter()
    hits = reference.search(vector, limit=limit * _PASSAGES_PER_TOPIC)
    found = time.perf_counter()
    return Answer(question, best_per_topic(hits, limit), embedded - started, found - embedded)


def best_per_topic(hits: Results, limit: int) -> Results:
    """Keep the best passage of each topic, in the order of the hits."""
    best: dict[str, Hit] = {}
    for hit in hits:
        best.setdefault(hit.document_id, hit)
    return Results(list(best.values())[:limit])


def python_example(question: str, path: Path | None = None) -> str:
    """Return five lines of Python that search the reference.

    Args:
        question: To search for.
        path: Directory of the embedded server; None leaves the database to `vectordb.connect`.
    """
    return (
        "import vectordb\n"
        f"db = vectordb.connect({'' if path is None else f'path={str(path)!r}'})\n"
        f"reference = db.collection({COLLECTION!r})\n"
        f"for hit in reference.search({question!r}, mode='vector', limit=3):\n"
        "    print(hit.score, hit.document_id, hit.content)"
    )


def sql_example(reference: Collection) -> str:
    """Return the statement that does the same; its parameter is the vector of the question."""
    return (
        "SELECT 1 - (embedding <=> $1) AS score, document_id, content\n"
        f"FROM {reference.Chunk.__table__.fullname}\n"
        "ORDER BY embedding <=> $1 LIMIT 3"
    )


def _heading(text: str) -> str:
    return text.strip().partition("\n")[0]
