"""The plots of the page, as SVG."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")
# The same results make the same file, and text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "relevo", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # noqa: E402

#: The first kind, and the second where there is one.
COLOURS = ("#1f77b4", "#d95f02")


class Series(NamedTuple):
    """The runs of one kind on one line of the plot."""

    line: str
    kind: str
    seconds: Sequence[float]


def strips(path: Path, series: Sequence[Series], title: str, axis: str) -> None:
    """Every run as a point, the median as a stroke, on a logarithmic axis: the systems differ by tenfolds."""
    lines = list(dict.fromkeys(one.line for one in series))
    kinds = list(dict.fromkeys(one.kind for one in series))
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.45 * len(lines)))
    for one in series:
        middle = lines.index(one.line) + (kinds.index(one.kind) - (len(kinds) - 1) / 2) * 0.3
        colour = COLOURS[kinds.index(one.kind)]
        axes.scatter(one.seconds, [middle] * len(one.seconds), s=14, alpha=0.6, color=colour, linewidths=0)
        median = statistics.median(one.seconds)
        axes.plot([median, median], [middle - 0.13, middle + 0.13], color=colour, linewidth=2.5)
    axes.set_xscale("log")
    axes.set_yticks(range(len(lines)), lines)
    axes.invert_yaxis()
    axes.set_xlabel(axis)
    axes.set_title(title)
    axes.grid(axis="x", which="both", linewidth=0.3)
    # A tenfold is too coarse to read a value off.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if len(kinds) > 1:
        handles = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in COLOURS[: len(kinds)]]
        axes.legend(handles, kinds, loc="best")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
