"""Runs the command line with a pseudo-terminal for stdin, stdout and stderr."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from unittest import mock

from vectordb.cli.running import run

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x00-\x08]")


@dataclass(frozen=True)
class Screen:
    """What was seen: `raw` with control sequences, `text` without."""

    code: int
    raw: str

    @property
    def text(self) -> str:
        return _CONTROL.sub("", self.raw)


def run_on_terminal(*arguments: str, typed: str = "") -> Screen:
    """Run a command in this process; what is `typed` waits in the terminal from the start."""
    master, slave = pty.openpty()
    seen = bytearray()
    reader = threading.Thread(target=_drain, args=(master, seen))
    reader.start()
    os.write(master, typed.encode())
    with ExitStack() as stack:
        stack.callback(os.close, slave)
        stack.enter_context(mock.patch.dict(os.environ, COLUMNS="120", TERM="xterm"))
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            stream = stack.enter_context(open(slave, mode, encoding="utf-8", closefd=False))
            stack.enter_context(mock.patch.object(sys, name, stream))
        code = run(list(arguments))
    reader.join()
    os.close(master)
    return Screen(code, seen.decode())


def _drain(master: int, seen: bytearray) -> None:
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # the other end is closed
            return
        seen += read
