"""What is read as a timestamp, and what is not; tests/test_fields.py holds the SQL function to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.timestamps import parse_timestamp


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-05-06", datetime(2020, 5, 6)),
        ("2020-02-29", datetime(2020, 2, 29)),
        ("2000-02-29", datetime(2000, 2, 29)),
        ("2020-05-06T07:08", datetime(2020, 5, 6, 7, 8)),
        ("2020-05-06 07:08", datetime(2020, 5, 6, 7, 8)),
        ("2020-05-06T07:08:09", datetime(2020, 5, 6, 7, 8, 9)),
        ("2020-05-06T07:08:09.1", datetime(2020, 5, 6, 7, 8, 9, 100_000)),
        ("2020-05-06T07:08:09.000001Z", datetime(2020, 5, 6, 7, 8, 9, 1)),
        ("2020-05-06T07:08Z", datetime(2020, 5, 6, 7, 8)),
        ("2020-05-06T07:08-00:00", datetime(2020, 5, 6, 7, 8)),
        ("2020-05-06T07:08+05:30", datetime(2020, 5, 6, 1, 38)),
        ("2020-12-31T23:59:59.999999-14:59", datetime(2021, 1, 1, 14, 58, 59, 999_999)),
        ("0001-01-01", datetime(1, 1, 1)),
        ("9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999_999)),
    ],
)
def test_a_timestamp_is_read_in_utc(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020",
        "2020-05",
        "20200506",
        "2020-5-6",
        " 2020-05-06",
        "2020-05-06 ",
        "2020-05-06\n",
        "2020-05-06Z",
        "2020-05-06+01:00",
        "2020-05-06T",
        "2020-05-06T07",
        "2020-05-06t07:08",
        "2020-05-06T07:08z",
        "2020-05-06T07:08 Z",
        "2020-05-06  07:08",
        "2020-05-06T24:00",
        "2020-05-06T23:60",
        "2020-05-06T23:59:60",
        "2020-05-06T07:08:09.",
        "2020-05-06T07:08:09,5",
        "2020-05-06T07:08:09.1234567",
        "2020-05-06T07:08.5",
        "2020-05-06T07:08+5",
        "2020-05-06T07:08+0530",
        "2020-05-06T07:08+05:60",
        "2020-05-06T07:08+15:00",
        "2020-05-06T07:08\u221205:00",
        "2020-00-01",
        "2020-13-01",
        "2020-01-00",
        "2020-01-32",
        "2020-04-31",
        "2021-02-29",
        "1900-02-29",
        "0000-01-01",
        "10000-01-01",
        "-2020-01-01",
        "0001-01-01T00:00+00:01",
        "9999-12-31T23:59-00:01",
        "\uff12\uff10\uff12\uff10-05-06",
        "2020-05-06\x00",
        "now",
        "infinity",
    ],
)
def test_anything_else_is_not_read(text: str) -> None:
    assert parse_timestamp(text) is None


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_what_python_writes_is_read_back(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_timestamp(aware.isoformat()) == aware
    assert parse_timestamp(moment.isoformat(sep=" ")) == moment.replace(tzinfo=UTC)
