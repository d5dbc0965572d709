"""Checks on names, texts, ids and metadata."""

from __future__ import annotations

import enum
import json
import math
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import STORABLE_TEXT
from vectordb.errors import InvalidMetadata, InvalidName, InvalidText
from vectordb.indexes import HNSW, IVFFlat
from vectordb.metrics import VectorSpace
from vectordb.models import collection_models, table_names, vector_index_name
from vectordb.validation import (
    MAX_ID_BYTES,
    MAX_METADATA_DEPTH,
    MAX_NAME_BYTES,
    check_id,
    check_name,
    check_short_text,
    check_text,
    metadata_json,
)

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | STORABLE_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STORABLE_TEXT, inner, max_size=3),
    max_leaves=10,
)


class Colour(enum.IntEnum):
    RED = 7


@given(st.text())
def test_a_name_is_good_or_a_good_one_is_suggested(name: str) -> None:
    try:
        assert check_name(name) == name
    except InvalidName as error:
        if "try " in str(error):
            suggested = str(error).rpartition("try ")[2].strip("'\"")
            assert check_name(suggested) == suggested


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("My Docs", "my_docs"),
        ("Ünicode", "nicode"),
        ("2024", "_2024"),
        ("", "documents"),
        ("a-b.c", "a_b_c"),
        ("docs\n", "docs"),
    ],
)
def test_suggestions(name: str, suggested: str) -> None:
    with pytest.raises(InvalidName, match=f"try '{suggested}'"):
        check_name(name)


BAD_NAMES = ["Docs", "1docs", "", " ", "do cs", "docs;", 'docs"', "docs'--", "dócs", "docs\x00", "docs\n", "a.b", "%s"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "$1", "\ud800"], ids=ascii)
def test_names_that_sql_would_change(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("name", [None, 3, b"docs", ["docs"], Colour.RED])
def test_names_that_are_no_strings(name: Any) -> None:
    with pytest.raises(InvalidName, match="is a string, not"):
        check_name(name)


def test_the_longest_name_fits_with_everything_made_from_it() -> None:
    name = "n" * MAX_NAME_BYTES
    assert check_name(name) == name
    with pytest.raises(InvalidName, match="at most 34 bytes, not 35"):
        check_name(name + "n")
    space = VectorSpace.of(3, "cosine", "vector")
    models = [collection_models(name, space, index=index, text_config="english") for index in (HNSW(), IVFFlat())]
    tables = [table for model in models for table in model.metadata.sorted_tables]
    identifiers = [*table_names(name), vector_index_name(table_names(name)[1], "ivfflat")]
    identifiers += [str(index.name) for table in tables for index in table.indexes]
    identifiers += [str(constraint.name) for table in tables for constraint in table.constraints]
    assert max(len(identifier.encode()) for identifier in identifiers) <= 63


@given(STORABLE_TEXT)
def test_text_that_can_be_stored(text: str) -> None:
    assert check_text(text, "content") == text


@given(STORABLE_TEXT, st.sampled_from(["\x00", "\ud800", "\udfff", "\udc41"]), STORABLE_TEXT)
def test_text_that_cannot_be_stored(before: str, bad: str, after: str) -> None:
    with pytest.raises(InvalidText, match=f"at character {len(before)},") as caught:
        check_text(before + bad + after, "content")
    assert caught.value.facts["position"] == len(before)
    str(caught.value).encode()


@pytest.mark.parametrize("value", [None, 1, b"text", ["text"], object()])
def test_text_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidText, match="content is a string, not"):
        check_text(value, "content")


def test_short_text_counts_bytes() -> None:
    assert check_short_text(None, "the title", 4) is None
    assert check_short_text("éé", "the title", 4) == "éé"
    with pytest.raises(InvalidText, match="at most 4 bytes, not 6"):
        check_short_text("ééé", "the title", 4)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (0, "0"),
        (-7, "-7"),
        (Colour.RED, "7"),
        (UUID("12345678-1234-5678-1234-567812345678"), "12345678-1234-5678-1234-567812345678"),
        ("é", "é"),
        (" ", " "),
        ("'; DROP TABLE documents; --", "'; DROP TABLE documents; --"),
        (np.str_("a"), "a"),
    ],
)
def test_ids(value: Any, text: str) -> None:
    assert check_id(value) == text


def test_ids_count_bytes() -> None:
    assert check_id("é" * (MAX_ID_BYTES // 2))
    assert check_id("a" * MAX_ID_BYTES)
    for long in ("é" * (MAX_ID_BYTES // 2) + "a", "a" * (MAX_ID_BYTES + 1), 10**MAX_ID_BYTES, 10**5_000):
        with pytest.raises(InvalidText, match="at most 512 bytes"):
            check_id(long)


@pytest.mark.parametrize(
    "value", ["", "a\x00", "\x00", "\ud800", None, True, 1.5, b"a", (), ["a"], object()], ids=ascii
)
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(InvalidText):
        check_id(value)


@given(st.dictionaries(STORABLE_TEXT, JSON, max_size=4))
def test_metadata_is_json(metadata: dict[str, Any]) -> None:
    assert json.loads(metadata_json(metadata)) == metadata


@given(st.dictionaries(STORABLE_TEXT, st.integers(), max_size=5))
def test_equal_metadata_is_equal_json(metadata: dict[str, int]) -> None:
    assert metadata_json(metadata) == metadata_json(dict(reversed(metadata.items())))


def test_what_is_like_json() -> None:
    class Frozen(dict[str, Any]):
        pass

    assert json.loads(metadata_json(Frozen(a=(1, [Frozen(b=Colour.RED)]), c=np.float64(0.5)))) == {
        "a": [1, [{"b": 7}]],
        "c": 0.5,
    }


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"a": math.nan}, "a"),
        ({"a": [1, {"b": -math.inf}]}, "a[1].b"),
        ({"a": {1, 2}}, "a"),
        ({"a": b"bytes"}, "a"),
        ({"a": {"b": object()}}, "a.b"),
        ({"a": {1: "b"}}, "a"),
        ({"a": "x\x00"}, "a"),
        ({"a": {"b": "\ud800"}}, "a.b"),
        ({"a": {"b\x00": 1}}, "a"),
        ({"a": np.float32(1)}, "a"),
        pytest.param({"a": 10**5_000}, "a", id="a number of 5,000 digits"),
        ("{}", ""),
        (None, ""),
        ([("a", 1)], ""),
    ],
    ids=ascii,
)
def test_metadata_that_json_cannot_hold(metadata: Any, path: str) -> None:
    with pytest.raises(InvalidMetadata) as caught:
        metadata_json(metadata)
    assert caught.value.facts["path"] == path


def test_metadata_has_a_depth() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return value

    assert json.loads(metadata_json(nested(MAX_METADATA_DEPTH))) == nested(MAX_METADATA_DEPTH)
    for levels in (MAX_METADATA_DEPTH + 1, 100_000):
        with pytest.raises(InvalidMetadata, match="deeper than 64 levels"):
            metadata_json(nested(levels))


def test_metadata_that_holds_itself() -> None:
    metadata: dict[str, Any] = {}
    metadata["self"] = metadata
    with pytest.raises(InvalidMetadata, match="deeper"):
        metadata_json(metadata)
