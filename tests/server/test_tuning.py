from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.support import connect, psutil
from vectordb.server import EmbeddedServer, tuning
from vectordb.server.tuning import GB, MB, settings


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (256 * MB, ("128MB", "128MB", "64MB", "16MB")),
        (2 * GB, ("512MB", "1024MB", "204MB", "16MB")),
        (8 * GB, ("2048MB", "4096MB", "819MB", "32MB")),
        (256 * GB, ("4096MB", "131072MB", "2048MB", "64MB")),
    ],
    ids=["tiny", "small", "laptop", "large"],
)
def test_memory_is_shared_with_the_machine(memory: int, expected: tuple[str, ...]) -> None:
    chosen = settings(memory, 4, memory)
    names = ("shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem")
    assert tuple(chosen[name] for name in names) == expected


@pytest.mark.parametrize(("cores", "workers"), [(1, "0"), (2, "1"), (4, "3"), (64, "7")])
def test_an_index_is_built_on_all_cores_up_to_eight(cores: int, workers: str) -> None:
    assert settings(8 * GB, cores, GB)["max_parallel_maintenance_workers"] == workers


@pytest.mark.parametrize(
    ("shared_memory", "kind"), [(64 * MB, "mmap"), (1638 * MB, "mmap"), (1640 * MB, "posix"), (4 * GB, "posix")]
)
def test_graphs_are_built_in_files_where_shared_memory_is_too_small(shared_memory: int, kind: str) -> None:
    assert settings(8 * GB, 4, shared_memory)["dynamic_shared_memory_type"] == kind


def test_a_container_s_limit_counts_if_it_is_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = psutil.virtual_memory().total
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(tuning, "_MEMORY_LIMITS", (tmp_path / "absent", limit))
    for text, memory in (("max\n", machine), (f"{512 * MB}\n", 512 * MB), (f"{2**63 - 4096}\n", machine)):
        limit.write_text(text)
        assert tuning.measure().memory == memory


def test_cores_and_shared_memory_are_those_of_this_machine() -> None:
    machine = tuning.measure()
    assert 1 <= machine.cores <= (psutil.cpu_count() or 1)
    assert machine.shared_memory > 0


def test_the_server_runs_with_every_setting(running: EmbeddedServer) -> None:
    machine = tuning.measure()
    chosen = settings(machine.memory, machine.cores, machine.shared_memory)
    with connect(running) as connection:
        rows = connection.execute(
            "SELECT name, setting FROM pg_file_settings WHERE applied AND sourcefile LIKE '%/server.conf'"
        ).fetchall()
    assert chosen.items() <= dict(rows).items()
