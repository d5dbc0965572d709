"""Views without a database: what they fill in, what they refuse, and what they cannot judge."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given

from tests.support import filters, metadata
from vectordb.documents import Document, content_hash, derived_id
from vectordb.errors import ConfigurationError, InvalidFilter, InvalidInput, InvalidMetadata, OutsideView
from vectordb.fields import FieldType
from vectordb.filters import F, Filter, Or, as_filter
from vectordb.loading import check_batch
from vectordb.metrics import VectorSpace
from vectordb.upserting import prepare_documents
from vectordb.views import View, refuse_outside

SPACE = VectorSpace(2)
TENANT = F("tenant") == "acme"


def view(where: Filter, **fields: FieldType) -> View:
    return View(where, fields)


def prepared(document: Any, confined: View | None = None, **fields: FieldType) -> dict[str, Any]:
    (one,) = prepare_documents([document], SPACE, fields=fields, view=confined)
    stored: dict[str, Any] = json.loads(one.row.metadata)
    return stored


@pytest.mark.parametrize(
    ("where", "filled"),
    [
        (TENANT, {"tenant": "acme"}),
        (TENANT & (F("year") == 2020), {"tenant": "acme", "year": 2020}),
        (TENANT & ((F("a") == True) & (F("b") == None)), {"tenant": "acme", "a": True, "b": None}),  # noqa: E711, E712 - builds a filter
        (F('"a.b"') == 1, {"a.b": 1}),
        (F(["title"]) == "x", {"title": "x"}),
        (F([""]) == "%(w0)s", {"": "%(w0)s"}),
        (F("day") == date(2020, 1, 2), {"day": "2020-01-02T00:00:00+00:00"}),
        (F("a.b") == 1, {}),
        (F("title") == "x", {}),
        (F("year") >= 2020, {}),
        (F("tenant").in_(["acme"]), {}),
        (TENANT | (F("year") == 2020), {}),
        (TENANT & ~(F("year") == 2020), {"tenant": "acme"}),
        (Or((TENANT,)), {}),
        (F("tags").contains("x"), {}),
    ],
)
def test_fills_in_what_must_be_equal(where: Filter, filled: dict[str, Any]) -> None:
    assert view(where).complete({}) == filled
    given = {"other": [1], **dict.fromkeys(filled, "given")}
    assert view(where).complete(given) == given, "what is there is never replaced"


def test_the_caller_keeps_its_metadata() -> None:
    given: dict[str, Any] = {"a": 1}
    assert view(TENANT).complete(given) == {"a": 1, "tenant": "acme"}
    assert given == {"a": 1}


@given(filters(), metadata())
def test_belongs_as_the_filter_says(where: Filter, given: dict[str, Any]) -> None:
    confined, columns = view(where), {"id": "1", "title": None, "uri": None}
    if where.matches(given, columns):
        confined.check(given, columns)
    else:
        with pytest.raises(OutsideView) as raised:
            confined.check(given, columns)
        assert raised.value.facts == {"id": "1"}


@given(metadata(), filters())
def test_what_was_completed_belongs_if_only_equalities_were_missing(given: dict[str, Any], rest: Filter) -> None:
    given.pop("tenant", None)
    columns = {"id": "1", "title": None, "uri": None}
    completed = view(TENANT & rest).complete(given)
    assert completed["tenant"] == "acme"
    assert {key: completed[key] for key in given} == given
    if rest.matches(completed, columns):
        view(TENANT & rest).check(completed, columns)


def test_a_declared_datetime_is_filled_in_as_one() -> None:
    confined = view(F("day") == "2020-01-02", day=FieldType.DATETIME)
    stored = prepared({"content": "x"}, confined, day=FieldType.DATETIME)
    assert datetime.fromisoformat(stored["day"]) == datetime(2020, 1, 2, tzinfo=UTC)


def test_the_filter_compares_in_the_types_of_declared_fields() -> None:
    with pytest.raises(InvalidFilter):
        view(F("year") == "2020", year=FieldType.INT)


@pytest.mark.parametrize(
    "where",
    [
        F("created_at") >= date(2020, 1, 1),
        TENANT & ~(F("updated_at") < date(2020, 1, 1)),
        as_filter(sa.column("x") == 1),
        Or((TENANT, ~(TENANT & (sa.column("x") == 1)))),
    ],
)
def test_read_only(where: Filter) -> None:
    for write in (
        lambda: prepare_documents([], SPACE, view=view(where)),
        lambda: check_batch([], np.zeros((0, 2), dtype=np.float32), None, None, view=view(where)),
    ):
        with pytest.raises(ConfigurationError, match="read-only"):
            write()


def test_metadata_named_as_a_column_is_no_column() -> None:
    view(F(["created_at"]) == "2020").check_writable()
    assert prepared("x", view(F(["created_at"]) == "2020")) == {"created_at": "2020"}


def test_documents_are_completed_before_their_id_is_made() -> None:
    (one,) = prepare_documents(["text"], SPACE, view=view(TENANT))
    (other,) = prepare_documents([Document("text", metadata={"tenant": "acme"})], SPACE)
    assert one == other
    assert one.row.id == derived_id("text", None, None, '{"tenant": "acme"}')
    assert one.row.content_hash == content_hash("text")


@pytest.mark.parametrize(
    ("where", "document", "fits"),
    [
        (TENANT, Document("x", metadata={"tenant": "other"}), False),
        (TENANT, Document("x", metadata={"tenant": None}), False),
        (F("id").startswith("a/"), Document("x", "a/1"), True),
        (F("id").startswith("a/"), Document("x", "b/1"), False),
        (F("title") == "T", Document("x", 1, title="T"), True),
        (F("title") == "T", Document("x", 1), False),
        (F("uri").startswith("s3://a/"), Document("x", 1, uri="s3://a/b"), True),
        (F("uri").startswith("s3://a/"), Document("x", 1, uri="s3://b"), False),
        (F("tags").contains("x"), Document("x", metadata={"tags": ("x", "y")}), True),
        (F("a.b") == 1, Document("x", metadata={"a": {"b": 1}}), True),
        (F("a.b") == 1, Document("x", metadata={"a.b": 1}), False),
        ((F("a") == 1) & (F("a") == 2), Document("x"), False),
    ],
)
def test_documents_must_belong(where: Filter, document: Document, *, fits: bool) -> None:
    if fits:
        prepare_documents([document], SPACE, view=view(where))
        return
    with pytest.raises(OutsideView, match=r"^document 8: ") as raised:
        prepare_documents([document], SPACE, start=8, view=view(where))
    assert raised.value.facts["document"] == 8
    assert isinstance(raised.value, InvalidInput)
    assert "other" not in str(raised.value)
    assert "acme" not in str(raised.value)


def test_metadata_that_is_none_at_all_is_refused_as_such() -> None:
    for confined in (None, view(TENANT)):
        with pytest.raises(InvalidMetadata, match="document 0: metadata is a mapping"):
            prepare_documents([{"content": "x", "metadata": ["tenant"]}], SPACE, view=confined)


@pytest.mark.parametrize("confined", [None, view(TENANT)], ids=["no view", "view"])
def test_declared_fields_are_checked(confined: View | None) -> None:
    fields = {"year": FieldType.INT}
    with pytest.raises(InvalidMetadata, match=r"^document 1: ") as raised:
        prepare_documents(["x", Document("y", metadata={"year": "2020"})], SPACE, fields=fields, view=confined)
    assert raised.value.facts == {"path": "year", "document": 1}
    matrix = np.ones((2, 2), dtype=np.float32)
    with pytest.raises(InvalidMetadata, match=r"^document 1: ") as raised:
        check_batch([1, 2], matrix, None, [{"year": None}, {"year": 1.5}], fields=fields, view=confined)
    assert raised.value.facts == {"path": "year", "document": 1}


def test_vectors_are_completed_and_must_belong() -> None:
    matrix = np.ones((3, 2), dtype=np.float32)
    batch = check_batch(["c", "a", "b"], matrix, None, None, view=view(TENANT))
    assert batch.metadata == ['{"tenant": "acme"}'] * 3
    batch = check_batch(["c", "a", "b"], matrix, None, [{"n": 1}, {"n": 2}, {"n": 3}], view=view(TENANT))
    assert [json.loads(text)["n"] for text in batch.all_metadata] == [2, 3, 1]
    with pytest.raises(OutsideView, match=r"^document 2: ") as raised:
        check_batch(["c", "a", "b"], matrix, None, [{}, {}, {"tenant": "other"}], view=view(TENANT))
    assert raised.value.facts == {"id": "b", "document": 2}
    with pytest.raises(OutsideView):
        check_batch(["c", "a", "b"], matrix, None, None, view=view(F("title") == "T"))
    assert check_batch(["c", "a", "b"], matrix, None, None, view=view(F("id") >= "a")).metadata == ["{}"] * 3


def test_nothing_is_refused_when_nothing_is_outside() -> None:
    refuse_outside([])
    with pytest.raises(OutsideView, match="'a'") as raised:
        refuse_outside(["b", "a"])
    assert raised.value.facts == {"id": "a"}
