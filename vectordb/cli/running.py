"""Running a command: every outcome becomes an exit code, and every error one line on stderr.

========  ==============================================================================
0         done
1         failed: something is not there, or the database, the embedder or the machine is in the way
2         wrong usage: the arguments, the input or the settings have to change first
130       interrupted by Ctrl-C
========  ==============================================================================

A reader that closes the pipe early, as `head` does, ends the command quietly with 1.
"""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from vectordb.cli.output import one_line, to_json
from vectordb.errors import ConfigurationError, InvalidInput, MissingDependency, VectorDBError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

# The library's errors hold no password. Those of the parser repeat what was typed, and that may be a URL in a wrong
# place. "password" itself is what our own examples say.
_PASSWORDS = re.compile(r"(?<=://)([^\s:/@]*:)(?!password@)\S+(?=@)|(password=)[^\s&]+", re.IGNORECASE)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: What follows the program's name; None takes those of this process.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal has no characters for is shown by their numbers.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    as_json = _wants_json(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            return _invoke(arguments)
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # Nothing may be flushed to the closed pipe on the way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:
            facts, code = describe(error)
            _show_error(facts, as_json=as_json)
            return code


def describe(error: Exception) -> tuple[dict[str, Any], int]:
    """Return what is shown of an error, as JSON-ready values, and the exit code.

    An error of ours comes with those of its facts that are plain values. One that nobody expected is
    named with its place in the code and without its text, which may hold secrets or content.
    """
    import typer

    if isinstance(error, VectorDBError):
        plain = {
            name: fact for name, fact in error.facts.items() if fact is None or isinstance(fact, (str, int, float))
        }
        shown = {"type": type(error).__name__, "message": str(error), "retryable": error.retryable}
        return {**plain, **shown}, exit_code(error)
    if isinstance(error, typer.TyperException):
        return {"type": "UsageError", "message": _usage_message(error), "retryable": False}, WRONG_USAGE
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(os.path.dirname(place.filename))}/{os.path.basename(place.filename)}:{place.lineno}"
    message = f"internal error: {type(error).__name__} at {where}; please report it with the command that led to it"
    return {"type": "InternalError", "message": message, "retryable": False}, FAILED


def exit_code(error: VectorDBError) -> int:
    """Return 2 where the same call can never succeed, else 1."""
    if isinstance(error, (InvalidInput, ConfigurationError)) and not isinstance(error, MissingDependency):
        return WRONG_USAGE
    return FAILED


def _invoke(arguments: list[str]) -> int:
    from typer.main import get_command

    from vectordb.cli.app import app

    code = get_command(app).main(args=arguments, prog_name="vectordb", standalone_mode=False)
    sys.stdout.flush()
    return code if isinstance(code, int) else DONE


def _wants_json(arguments: list[str]) -> bool:
    """Tell how errors are to be shown, even those that come up while the arguments are read."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return "--json" in arguments[:end]


def _usage_message(error: Any) -> str:
    message = str(error.format_message()).strip().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see `{context.command_path} --help`" if context is not None else message


def _show_error(facts: dict[str, Any], *, as_json: bool) -> None:
    facts["message"] = _without_passwords(one_line(facts["message"]))
    line = to_json({"error": facts}) if as_json else f"error: {facts['message']}"
    sys.stderr.write(f"{line}\n")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    sys.stderr.write(f"warning: {one_line(str(message))}\n")


def _without_passwords(message: str) -> str:
    return _PASSWORDS.sub(lambda found: f"{found[1] or found[2]}***", message)
