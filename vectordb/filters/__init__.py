"""The filter language: which documents a search, a count, a scan or a delete is about.

A filter is an immutable value with three faces: Python (`F("year") >= 2020`), JSON
(`{"year": {">=": 2020}}`) and text (`year >= 2020`). It knows what it means (`matches`);
how it becomes SQL is the business of `vectordb.search.where`, and the tests hold the one
against the other.

**Fields.** `F("author.name")` is a path into the metadata, through objects only. Five names
are the document's own columns: `id`, `title`, `uri`, `created_at`, `updated_at`. A key that
has a dot in it, or one of those names, is written as a JSON string, `F('"a.b"')`, or given
as a list of keys, `F(["a.b"])`; both always mean metadata.

**Types.** Values are compared by JSON type: `"10"` is not `10`, `true` is not `1`, `1` is `1.0`.
Strings are ordered by code point. Dates and times compare with the ISO 8601 strings that
stand for them in JSON; without an offset they are in UTC, and a date is its midnight.

**Missing and null.** Every condition is true or false, never unknown. A document without the
field, or with another type there, does not satisfy a condition on it, and so does satisfy
its negation: `F("x") != 1` and `F("x").not_in([1])` match documents without `x`. JSON's `null`
is a value: `exists()` is true of it, `F("x") == None` and `is_null()` match it and nothing
else. A column of the document that has no value is null, and does not exist.
"""

from vectordb.filters.building import F, as_filter
from vectordb.filters.fields import OWN_COLUMNS, Field
from vectordb.filters.json_form import parse
from vectordb.filters.nodes import (
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    And,
    AnyOf,
    Compare,
    Contains,
    Exists,
    Expression,
    Filter,
    In,
    Like,
    Not,
    Or,
    StartsWith,
)
from vectordb.filters.resolving import resolve
from vectordb.filters.text_form import parse_text
from vectordb.filters.values import MAX_FILTER_VALUES, json_type

__all__ = [
    "MAX_FILTER_DEPTH",
    "MAX_FILTER_NODES",
    "MAX_FILTER_VALUES",
    "OWN_COLUMNS",
    "And",
    "AnyOf",
    "Compare",
    "Contains",
    "Exists",
    "Expression",
    "F",
    "Field",
    "Filter",
    "In",
    "Like",
    "Not",
    "Or",
    "StartsWith",
    "as_filter",
    "json_type",
    "parse",
    "parse_text",
    "resolve",
]
