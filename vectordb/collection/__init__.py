"""A collection: documents in, hits out."""

from __future__ import annotations

import copy

from vectordb.collection.handle import DocumentId, Where
from vectordb.collection.searching import Searching
from vectordb.collection.structure import Structure
from vectordb.collection.writing import Writing
from vectordb.errors import InvalidInput
from vectordb.views import View

__all__ = ["Collection", "DocumentId", "Where"]


class Collection(Searching, Writing, Structure):
    """A handle on one collection; made by `VectorDB.collection` and its siblings.

    Cheap to make and safe to share between threads. Every call is checked before anything
    is written, and runs in a transaction of its own unless `VectorDB.transaction` is open.
    """

    def where(self, where: Where) -> Collection:
        """Return a view: a handle on this collection of which every read and write is confined to a filter.

        Reads find nothing else, whatever filter they are given. What is written must match: metadata that the filter
        requires to be equal to something is filled in where it is missing, any other document that does not match is
        refused, and so is the id of a document outside. Views can be confined further.

        Args:
            where: A filter, its JSON form, or a SQLAlchemy expression. A view by a SQLAlchemy expression, or by
                `created_at` or `updated_at`, is read-only, as these can be told only after writing.

        Raises:
            InvalidFilter: The filter cannot be understood.
            InvalidInput: It confines nothing.
        """
        condition = self._condition(where)
        if condition is None:
            raise InvalidInput("a view needs a filter, such as docs.where(F('tenant') == 'acme')")
        view = copy.copy(self)
        view._view = View(condition, self._config.fields)
        return view
