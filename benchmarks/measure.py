"""Fair comparison of variants: one process, shuffled order, the same floor twice.

Method: each round runs every variant once, in random order. The floor runs under two
names; when the two differ by more than 5 %, the machine was too busy to trust the rest.
Ratios are of the 10th percentile, which other jobs on the machine disturb least.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FLOOR = "floor"
FLOOR_AGAIN = "floor again"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to do the work.

    Attributes:
        run: Does it once; called with the number of the round.
        prepare: Called before each run, outside the clock.
    """

    run: Callable[[int], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the report.

    Attributes:
        benchmark: What was measured.
        variant: Which way.
        milliseconds: 10th percentile of one run.
        median: Median of one run, in milliseconds.
        ratio: Speed or time against the floor, as `target` counts it.
        target: What is asked for, in words; empty for floors.
        met: Whether it is met; None where nothing is asked.
    """

    benchmark: str
    variant: str
    milliseconds: float
    median: float
    ratio: float
    target: str = ""
    met: bool | None = None


def compare(
    variants: Mapping[str, Variant], rounds: int, warm_up: int = 2, seed: int = 7
) -> dict[str, Sequence[float]]:
    """Run every variant once a round, in random order, and return the seconds that each took."""
    order = list(variants)
    shuffle = random.Random(seed).shuffle
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for number in range(-warm_up, rounds):
        shuffle(order)
        for name in order:
            variants[name].prepare()
            start = time.perf_counter()
            variants[name].run(max(0, number))
            elapsed = time.perf_counter() - start
            if number >= 0:
                seconds[name].append(elapsed)
    return dict(seconds)


def p10(seconds: Sequence[float]) -> float:
    """Return the 10th percentile in milliseconds."""
    return float(np.percentile(seconds, 10)) * 1000


def median(seconds: Sequence[float]) -> float:
    """Return the median in milliseconds."""
    return float(np.median(seconds)) * 1000
