from __future__ import annotations

from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal


def test_a_healthy_database(reader: CommandLine) -> None:
    done = reader("doctor")
    assert (done.code, done.err) == (0, "")
    levels = {line.split("\t")[0] for line in done.out.splitlines()}
    assert levels == {"ok"}
    assert "ok\tcollection points\tabout" in done.out
    assert "ok\tcollection default\tabout" in done.out


def test_one_collection_and_a_filter(reader: CommandLine) -> None:
    found = reader("doctor", "-c", "points", "--where", "n > 1", "--json").json
    subjects = [finding["subject"] for finding in found]
    assert "collection default" not in subjects
    assert subjects[-1] == "filter"
    assert found[-1] == {
        "level": "ok", "subject": "filter", "message": "an index serves it, or none would help here", "fix": None,
    }  # fmt: skip


def test_a_problem_fails(points: CommandLine) -> None:
    address = "postgresql://me:topsecret@127.0.0.1:1/db"
    done = points("doctor", "--url", address, "--json")
    assert done.code == 1
    assert done.err == ""
    (finding,) = done.json
    assert (finding["level"], finding["subject"]) == ("problem", "connection")
    assert "topsecret" not in done.out


def test_wrong_usage(reader: CommandLine) -> None:
    assert reader("doctor", "--where", "n >").code == 2
    done = reader("doctor", "-c", "point")
    assert (done.code, done.error) == (1, "error: no collection named 'point': did you mean 'points'?")


def test_headings_on_a_terminal(reader: CommandLine) -> None:
    screen = run_on_terminal("doctor")
    assert screen.code == 0
    assert "finding" in screen.text
    assert "what to do" in screen.text
