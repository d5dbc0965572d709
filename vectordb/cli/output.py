"""What commands print: a table on a terminal, tab-separated lines in a pipe, or JSON.

Text from documents is shown without control characters, so that it cannot drive the terminal.
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Marked:
    """A cell with words to be seen: bold on a terminal.

    Args:
        html: Escaped, with `<mark>` and `</mark>` as the only markup.
    """

    html: str

    def __str__(self) -> str:
        return "".join(self._pieces())

    def styled(self) -> Text:
        """Return it for Rich."""
        from rich.text import Text

        # Outside and inside of the marks take turns.
        return Text.assemble(*((piece, "bold" if place % 2 else "") for place, piece in enumerate(self._pieces())))

    def _pieces(self) -> list[str]:
        return [html.unescape(piece) for piece in re.split("</?mark>", one_line(self.html))]


def to_json(value: Any) -> str:
    """Return a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=(sys.stdout.encoding or "ascii").lower() != "utf-8", default=str)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    print_line(to_json(value))


def print_line(line: str = "") -> None:
    """Print a line on stdout."""
    sys.stdout.write(f"{line}\n")


def print_note(line: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(f"{line}\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows: with headings and in columns on a terminal, else a line each with tabs between.

    Args:
        headings: Of the columns.
        rows: Cells in the order of the headings; None is an empty one.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print_line("\t".join(map(_plain, row)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell.styled() if isinstance(cell, Marked) else Text(_plain(cell)) for cell in row))
    Console().print(table)


def _plain(cell: object) -> str:
    return "" if cell is None else one_line(str(cell))


def print_fields(fields: Mapping[str, object]) -> None:
    """Print a line for each field that has a value."""
    for name, value in fields.items():
        if value is not None:
            print_line(f"{name}: {one_line(str(value))}")


def one_line(text: str) -> str:
    """Return text on one line, without control characters."""
    return re.sub(r"\s+", " ", _CONTROL.sub(" ", text)).strip()


def printable(text: str) -> str:
    """Return text with its lines and tabs, but without other control characters."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
