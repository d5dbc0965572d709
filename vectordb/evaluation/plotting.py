"""A chart of a report; matplotlib is loaded when one is drawn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vectordb.errors import InvalidInput, MissingDependency
from vectordb.evaluation.significance import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vectordb.evaluation.report import Report

_FORMATS = (".png", ".svg", ".pdf")
_BAR = "#4878a8"


def check_plot(path: Path) -> None:
    """Check, before anything is measured, that a chart can be drawn to a file of this name.

    Raises:
        MissingDependency: The extra `plots` is not installed.
        InvalidInput: There is no such folder, or no such format.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependency("charts need matplotlib; install it with pip install 'vectordb-postgres[plots]'")
    if path.suffix.lower() not in _FORMATS:
        raise InvalidInput(f"a chart is written as {', '.join(_FORMATS)}, not as {path.name!r:.60}")
    if not path.parent.is_dir():
        raise InvalidInput(f"there is no folder {path.parent} to write the chart to", path=str(path))


def draw(report: Report, path: Path) -> None:
    """Draw a panel of bars for each metric, with the 95 % confidence interval of each mean.

    Raises:
        MissingDependency: The extra `plots` is not installed.
        InvalidInput: The file cannot be written, or its format is unknown.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    # Without pyplot, which would look for a screen and keep every figure.
    height = 1.2 + 0.4 * len(report.outcomes)
    figure = Figure(figsize=(3.2 * len(report.metrics) + 1.2, height), layout="constrained")
    panels: Any = figure.subplots(1, len(report.metrics), sharey=True, squeeze=False)
    for metric, axes in zip(report.metrics, panels[0], strict=True):
        _draw_metric(report, metric, axes)
    name = f"{report.dataset}, " if report.dataset else ""
    figure.suptitle(f"{name}{len(report.queries)} queries: mean and 95 % interval", fontsize="medium")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}", path=str(path)) from None


def _draw_metric(report: Report, metric: str, axes: Axes) -> None:
    # A $ would begin a formula.
    names = [outcome.name.replace("$", r"\$") for outcome in report.outcomes]
    means = [outcome.means[metric] for outcome in report.outcomes]
    places = np.arange(len(names))
    bars = axes.barh(places, means, color=_BAR)
    if report.queries:
        values = [np.array(list(outcome.values[metric].values())) for outcome in report.outcomes]
        limits = np.array([bootstrap_interval(each) for each in values])
        ends = np.abs(limits.T - np.array(means))
        axes.errorbar(means, places, xerr=ends, fmt="none", ecolor="black", capsize=3, linewidth=1)
    axes.bar_label(bars, labels=[f"{value:.3f}" for value in means], label_type="center", color="white")
    axes.set_yticks(places, names)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title(metric, fontsize="medium")
