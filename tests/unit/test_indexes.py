"""The values that declare an index."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb import BM25, HNSW, IVFFlat
from vectordb.errors import ConfigurationError
from vectordb.indexes import VectorIndex, index_from_dict, index_to_dict

DECLARED = st.one_of(
    st.none(),
    st.builds(IVFFlat, st.integers(1, 32_768)),
    st.integers(2, 100).flatmap(lambda m: st.builds(HNSW, st.just(m), st.integers(max(4, 2 * m), 1000))),
)


@given(DECLARED)
def test_json_and_back(index: VectorIndex | None) -> None:
    assert index_from_dict(index_to_dict(index)) == index


def test_what_goes_into_with() -> None:
    assert HNSW().options() == {"m": 16, "ef_construction": 64}
    assert IVFFlat().options() == {"lists": 100}


@pytest.mark.parametrize("m", [2, 32, 100])
def test_hnsw_in_range(m: int) -> None:
    assert HNSW(m=m, ef_construction=200).m == m


@pytest.mark.parametrize(
    ("m", "ef_construction"), [(1, 64), (101, 300), (16, 3), (16, 1001), (33, 65), ("16", 64), (16.0, 64), (True, 64)]
)
def test_hnsw_out_of_range(m: Any, ef_construction: Any) -> None:
    with pytest.raises(ConfigurationError):
        HNSW(m=m, ef_construction=ef_construction)


@pytest.mark.parametrize("lists", [0, 32_769, -1, "100", 1.5, None])
def test_ivfflat_out_of_range(lists: Any) -> None:
    with pytest.raises(ConfigurationError, match="lists is a whole number from 1 to 32768"):
        IVFFlat(lists=lists)


@given(st.builds(BM25, st.floats(0, 1000), st.floats(0, 1)))
def test_a_text_index_as_json_and_back(index: BM25) -> None:
    assert BM25.from_dict(json.loads(json.dumps(index.to_dict()))) == index


def test_whole_numbers_are_as_good_as_others() -> None:
    assert BM25(2, 1) == BM25(2.0, 1.0)
    assert repr(BM25(2, 1)) == "BM25(k1=2.0, b=1.0)"


@pytest.mark.parametrize("value", [-0.1, 1000.1, float("nan"), float("inf"), 10**400, "1", None, True])
def test_bm25_out_of_range(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="k1 is a number from 0 to 1000"):
        BM25(k1=value)
    with pytest.raises(ConfigurationError, match="b is a number from 0 to 1, "):
        BM25(b=value)


def test_an_unknown_method() -> None:
    with pytest.raises(ConfigurationError, match="'diskann'; known are hnsw and ivfflat"):
        index_from_dict({"method": "diskann"})
