"""Configurations side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vectordb.errors import InvalidInput
from vectordb.evaluation.comparing import Comparison, compare_values
from vectordb.evaluation.configuration import Configuration
from vectordb.evaluation.metrics import mean


@dataclass(frozen=True, slots=True)
class Outcome:
    """How good one configuration is.

    Attributes:
        configuration: That was evaluated.
        values: By metric, by query: 0 to 1.
        seconds: Of each search; empty where the database did not search.
    """

    configuration: Configuration
    values: Mapping[str, Mapping[str, float]] = field(repr=False)
    seconds: Sequence[float] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the configuration."""
        return self.configuration.name

    @property
    def means(self) -> dict[str, float]:
        """By metric: the mean over the queries."""
        return {metric: mean(values) for metric, values in self.values.items()}

    @property
    def median_ms(self) -> float | None:
        """Milliseconds in which half of the searches are done; None where the database did not search."""
        return self._milliseconds(50)

    @property
    def p95_ms(self) -> float | None:
        """Milliseconds in which 95 % of the searches are done, likewise."""
        return self._milliseconds(95)

    def _milliseconds(self, percent: int) -> float | None:
        return float(np.percentile(self.seconds, percent)) * 1000 if len(self.seconds) else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "configuration": self.configuration.to_dict(),
            "means": self.means,
            "median_ms": self.median_ms,
            "p95_ms": self.p95_ms,
            "queries": {metric: dict(values) for metric, values in self.values.items()},
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found; prints as a table.

    Attributes:
        dataset: Its name.
        metrics: As they are written.
        outcomes: Of the configurations, in the order given.
        queries: Texts of the queries evaluated, by id.
        unknown_queries: Ids of judged queries without a text, which are left out.
        unknown_documents: Ids of judged documents that the collection does not hold. Where they are relevant, they
            count as not found.
        unjudged_queries: How many queries without judgements are left out.
    """

    dataset: str
    metrics: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = field(repr=False)
    queries: Mapping[str, str] = field(repr=False)
    unknown_queries: tuple[str, ...] = ()
    unknown_documents: tuple[str, ...] = ()
    unjudged_queries: int = 0

    def __getitem__(self, name: str) -> Outcome:
        """Return the outcome of a configuration.

        Raises:
            InvalidInput: There is no such configuration.
        """
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        names = ", ".join(outcome.name for outcome in self.outcomes)
        raise InvalidInput(f"there is no configuration {name!r:.60}; there are {names}")

    def compare(self, baseline: str, name: str, *, metric: str | None = None, seed: int = 0) -> Comparison:
        """Compare a configuration with a baseline, query by query.

        Args:
            baseline: Name of the one.
            name: Of the other.
            metric: By which; None takes the first.
            seed: Of the random numbers of the tests.

        Raises:
            InvalidInput: One is not in this report, or there is no query.
        """
        chosen = self.metrics[0] if metric is None else metric.lower()
        if chosen not in self.metrics:
            raise InvalidInput(f"{metric!r:.40} was not measured; there are {', '.join(self.metrics)}")
        pair = [(each, self[each].values[chosen]) for each in (baseline, name)]
        return compare_values(chosen, pair[0], pair[1], self.queries, seed=seed)

    def comparisons(self) -> list[Comparison]:
        """Compare every configuration with the first by the first metric."""
        if not self.queries:
            return []
        first, *others = self.outcomes
        return [self.compare(first.name, other.name) for other in others]

    def rows(self) -> list[list[str]]:
        """Return a table: headings, then a row for each configuration."""
        headings = ["configuration", *self.metrics, "median ms", "p95 ms"]
        return [headings, *(self._row(outcome) for outcome in self.outcomes)]

    def _row(self, outcome: Outcome) -> list[str]:
        times = ["" if value is None else f"{value:.1f}" for value in (outcome.median_ms, outcome.p95_ms)]
        return [outcome.name, *(f"{outcome.means[metric]:.4f}" for metric in self.metrics), *times]

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values, with the value of every query and `comparisons`."""
        return {
            "dataset": self.dataset,
            "metrics": list(self.metrics),
            "evaluated_queries": len(self.queries),
            "unjudged_queries": self.unjudged_queries,
            "unknown_queries": list(self.unknown_queries),
            "unknown_documents": list(self.unknown_documents),
            "configurations": [outcome.to_dict() for outcome in self.outcomes],
            "comparisons": [comparison.to_dict() for comparison in self.comparisons()],
        }

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def plot(self, path: str | Path) -> None:
        """Draw the means with their confidence intervals; the suffix (.png, .svg, .pdf) chooses the format.

        Raises:
            MissingDependency: The extra `plots` is not installed.
            InvalidInput: The file cannot be written, or its format is unknown.
        """
        from vectordb.evaluation.plotting import draw

        draw(self, Path(path))
