"""Dates and times in metadata: JSON has none, so they are ISO 8601 strings.

One strict form is read, by `parse_timestamp` here and by the SQL function `iso_timestamp` there, alike
for every string; a property of the tests holds the two together.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?(?:Z|([+-])(0[0-9]|1[0-4]):([0-5][0-9]))?)?"
)


def parse_timestamp(text: str) -> datetime | None:
    """Return the moment that a string names, in UTC; None if it names none.

    Read are `YYYY-MM-DD`, and after it `T` or a blank with `HH:MM`, `HH:MM:SS` or `HH:MM:SS.f` (one to six
    digits), with `Z`, `+HH:MM` or `-HH:MM` (up to 14 hours), or nothing, which is UTC. The day begins at
    midnight. Years go from 0001 to 9999, in UTC too.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "").ljust(6, "0")),
            tzinfo=UTC,
        )
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return moment + offset if sign == "-" else moment - offset
    except (ValueError, OverflowError):
        return None
