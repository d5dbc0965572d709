"""Settings that suit the machine, for a server that is a guest on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vectordb.server.extras import require

MB = 1024**2
GB = 1024**3

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - measured, never written to
# The limit of the container: control groups version 2, then version 1.
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Machine:
    """What the server may use.

    Attributes:
        memory: Bytes of memory: the machine's, or the container's if that is less.
        cores: Processors that we may run on.
        shared_memory: Bytes free for POSIX shared memory.
    """

    memory: int
    cores: int
    shared_memory: int


def measure() -> Machine:
    """Look at the machine, or at the container that we are in."""
    memory: int = require("psutil").virtual_memory().total
    memory = min([memory, *memory_limits(_MEMORY_LIMITS)])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Without a file system of its own, as on macOS, shared memory is limited by memory alone.
    shared_memory = shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else memory
    return Machine(memory, cores, shared_memory)


def memory_limits(files: Iterable[Path]) -> list[int]:
    """Read the limits, in bytes, from those files that exist and hold a number; "max" means that there is none."""
    texts = [path.read_text(encoding="utf-8").strip() for path in files if path.is_file()]
    return [int(text) for text in texts if text.isdecimal()]


def settings(memory: int, cores: int, shared_memory: int) -> dict[str, str]:
    """Choose PostgreSQL's settings for a machine; a pure function of the fields of `Machine`."""
    maintenance = _between(64 * MB, memory // 10, 2 * GB)
    # A parallel build of an HNSW index keeps the graph, up to maintenance_work_mem, in dynamic shared memory. Docker
    # gives 64 MB of it unless told otherwise; mmap uses files in the data directory instead. Twice: room for others.
    fits = shared_memory >= 2 * maintenance
    return {
        "shared_buffers": _megabytes(_between(128 * MB, memory // 4, 4 * GB)),
        "effective_cache_size": _megabytes(memory // 2),
        "maintenance_work_mem": _megabytes(maintenance),
        "work_mem": _megabytes(_between(16 * MB, memory // 256, 64 * MB)),
        "dynamic_shared_memory_type": "posix" if fits else "mmap",
        # The process that builds an index works beside its workers.
        "max_parallel_maintenance_workers": str(_between(0, cores - 1, 7)),
        # Queries over vectors look expensive to the planner, and compiling them takes longer than running them.
        "jit": "off",
        # Solid state disks.
        "random_page_cost": "1.1",
        # Bulk loads fill the default of 1 GB in seconds, and every checkpoint makes the pages that follow it dearer.
        # Pages of vectors hardly compress: wal_compression stays off.
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
    }


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))


def _megabytes(size: int) -> str:
    return f"{size // MB}MB"
