"""The command line `vectordb`: each command parses, makes one call of the library, and prints.

- `app`: all commands under one name; `migrate`, `collections`, `fields`, `documents`, `search`, `indexes`, `doctor`,
  `server` and `demo` hold them by theme.
- `options`: what several commands share. `inputs`: documents from files. `database`: the way to the library.
- `output`, `progress`: what is printed. `running`: errors and exit codes.
"""

from vectordb.cli.running import main

__all__ = ["main"]
