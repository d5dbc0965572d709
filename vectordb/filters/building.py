"""How Python code builds filters: `F("year") >= 2020`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vectordb.errors import InvalidFilter
from vectordb.filters.fields import Field
from vectordb.filters.json_form import all_of, between, parse
from vectordb.filters.nodes import (
    AnyOf,
    Compare,
    Contains,
    Exists,
    Expression,
    Filter,
    In,
    Like,
    Not,
    Operator,
    StartsWith,
    is_expression,
    walk,
)


class F:
    """A field to make conditions of: `F("year") >= 2020`, `F("tags").contains("new")`.

    Values are strings, numbers, booleans, dates, datetimes, UUIDs (as text) or None.

    Args:
        name: A path such as `author.name` into the metadata; or `id`, `title`, `uri`, `created_at`, `updated_at`, the
            document's own columns; or a list of metadata keys, taken as they are.

    Raises:
        InvalidFilter: The name is none of these, or holds NUL or a lone surrogate.
    """

    __slots__ = ("_field",)
    __hash__ = None  # type: ignore[assignment] # `==` builds a filter, so a field cannot be a key

    def __init__(self, name: str | Sequence[str]) -> None:
        self._field = Field.of(name)

    def __repr__(self) -> str:
        return f"F({str(self._field)!r})"

    def __eq__(self, value: object) -> Compare:  # type: ignore[override] # builds a filter
        return self._compare("==", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override] # builds a filter
        return Not(self._compare("==", value))

    def __lt__(self, value: object) -> Compare:
        return self._compare("<", value)

    def __le__(self, value: object) -> Compare:
        return self._compare("<=", value)

    def __gt__(self, value: object) -> Compare:
        return self._compare(">", value)

    def __ge__(self, value: object) -> Compare:
        return self._compare(">=", value)

    def in_(self, values: Iterable[object]) -> Filter:
        """Equal one of 1 to 10,000 values."""
        return In(self._field, values)  # type: ignore[arg-type] # checked and copied there

    def not_in(self, values: Iterable[object]) -> Filter:
        """Equal none of the values, or be missing."""
        return Not(self.in_(values))

    def between(self, low: object, high: object) -> Filter:
        """Lie from `low` up to `high`, both included and of one type."""
        return between(self._field, low, high)

    def exists(self) -> Filter:
        """Be there, be it null."""
        return Exists(self._field)

    def missing(self) -> Filter:
        """Not be there."""
        return Not(Exists(self._field))

    def is_null(self) -> Filter:
        """Be there and null; a column of the document without a value is null."""
        return self._compare("==", None)

    def contains(self, value: object) -> Filter:
        """Be an array with this element, with all elements of this list, or an object with these entries."""
        return Contains.of(self._field, value)

    def any_of(self, values: Iterable[object]) -> Filter:
        """Be an array with at least one of 1 to 10,000 values."""
        return AnyOf(self._field, values)  # type: ignore[arg-type] # checked and copied there

    def all_of(self, values: Iterable[object]) -> Filter:
        """Be an array with every one of the values."""
        return all_of(self._field, values)

    def like(self, pattern: str) -> Filter:
        r"""Be a string that matches a pattern: `%` any characters, `_` any one, `\` takes the next literally."""
        return Like(self._field, pattern)

    def ilike(self, pattern: str) -> Filter:
        """Match as `like` does, with upper and lower case the same (as in Unicode, in any locale)."""
        return Like(self._field, pattern, case_sensitive=False)

    def startswith(self, prefix: str) -> Filter:
        """Be a string that starts so."""
        return StartsWith(self._field, prefix)

    def _compare(self, operator: Operator, value: object) -> Compare:
        return Compare(self._field, operator, value)  # type: ignore[arg-type] # checked there


def as_filter(where: object) -> Filter | None:
    """Return a filter from what `where=` accepts: a filter, its JSON form, or a SQLAlchemy expression.

    Raises:
        InvalidFilter: None of these, or deeper or larger than allowed.
    """
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse(where)
    if is_expression(where):
        return Expression(where)
    if not isinstance(where, Filter):
        raise InvalidFilter(
            f"where is a filter such as F('year') >= 2020, a mapping, or a SQLAlchemy expression, "
            f"not {type(where).__name__}",
            path="",
        )
    for _ in walk(where):
        pass
    return where
