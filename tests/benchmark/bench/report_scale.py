"""The figures of docs/scale.md: what was measured, the straight line through it, and where that leads."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.pieces import one_line, table
from bench.targets import Row

PAGE = "scale.md"
#: Between these lines of the page everything is written anew; the rest of it is somebody's.
BEGIN, END = "<!-- measured: written by `make bench` -->", "<!-- measured: end -->"
#: The number of clusters that is estimated.
MANY = 1000
MIB = 1 << 20


class Line(NamedTuple):
    """A cost that is ``fixed`` in every run, and one that each cluster adds."""

    fixed: float
    each: float

    def at(self, number: int) -> float:
        return self.fixed + self.each * number


def line(points: Sequence[tuple[float, float]]) -> Line | None:
    """The straight line through these points with the least squares; None through fewer than two."""
    if len({number for number, _cost in points}) < 2:
        return None
    found = statistics.linear_regression([number for number, _ in points], [cost for _, cost in points])
    return Line(found.intercept, found.slope)


def write(part: dict[str, Any], docs: Path) -> None:
    """Put the figures into the page, which says what they mean."""
    page = docs / PAGE
    before, _begin, rest = page.read_text().partition(BEGIN)
    _old, _end, after = rest.partition(END)
    page.write_text("\n\n".join([before + BEGIN, *map(_wrapped, blocks(part)), END + after]))


def _wrapped(block: str) -> str:
    return block if block.startswith("|") else textwrap.fill(block, 120, break_long_words=False, break_on_hyphens=False)


def blocks(part: dict[str, Any]) -> list[str]:
    plays: list[Row] = part["plays"]
    numbers = list(dict.fromkeys(row["clusters"] for row in plays))
    run, machine = part["run"], part["run"]["machine"]
    return [
        f"Measured {run['at']} on {machine['cores']} cores and {machine['memory_gib']:.0f} GiB, which the clusters, "
        f"the control host and other work shared (load average before it {run['load_before'][0]:.2f}).",
        table(_heads(numbers), [_play(plays, title, numbers) for title in _titles(plays)]),
        table(STORES, [_store(row, plays) for row in part["stores"]]),
        *[_broken(row) for row in part["broken"]],
        f"The straight lines through these figures, and where they lead with {MANY} clusters. **Estimated**, not "
        "measured:",
        table(ESTIMATES, list(_estimates(plays))),
    ]


def _titles(plays: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["play"] for row in plays))


def _heads(numbers: Iterable[int]) -> list[str]:
    return ["Seconds / of processor / MB of the control host", *(_counted(number) for number in numbers)]


def _counted(number: int) -> str:
    return f"{number} cluster{'' if number == 1 else 's'}"


def _play(plays: Iterable[Row], title: str, numbers: Iterable[int]) -> list[str]:
    found = {row["clusters"]: row for row in plays if row["play"] == title}
    return [_named(title), *(_cell(found.get(number)) for number in numbers)]


def _named(title: str) -> str:
    return re.sub(r"^\S+\.yml", r"`\g<0>`", title)


def _cell(row: Row | None) -> str:
    return "-" if row is None else f"{row['seconds']:.0f} / {row['processor']:.0f} / {row['memory'] / MIB:.0f}"


STORES = [
    "Clusters",
    "Backups",
    "Size of a database, MB",
    "Its backup, MB",
    "Repository per cluster, MB",
    "A backup takes, s",
    "Repository host, MB of memory",
    "A record in Redis, bytes",
]


def _store(row: Row, plays: Iterable[Row]) -> list[str]:
    memory = [one["repository_memory"] for one in plays if one["clusters"] == row["clusters"]]
    backups = row["backups"]
    return [
        f"{row['clusters']}",
        f"{backups}",
        f"{row['database_bytes'] / backups / MIB:.0f}",
        f"{row['backup_bytes'] / backups / MIB:.1f}",
        f"{row['repository_bytes'] / row['clusters'] / MIB:.1f}",
        f"{statistics.median(row['backup_seconds']):.0f}",
        f"{max(memory) / MIB:.0f}",
        f"{row['redis_bytes_per_record'] or '-'}",
    ]


def _broken(row: Row) -> str:
    return (
        f"With one of {row['clusters']} broken ({row['broken']}, both servers stopped), `backup.yml` backed up "
        f"{len(row['backed_up'])} ({', '.join(row['backed_up'])}) in {row['seconds']:.0f} s, failed, and its last "
        f"words were: {one_line(row['said'])}"
    )


ESTIMATES = [
    "Playbook",
    "Processor: each run, s",
    "and each cluster, s",
    f"{MANY} clusters, hours of one core",
]


def _estimates(plays: Sequence[Row]) -> Iterable[list[str]]:
    for title in _titles(plays):
        rows = [row for row in plays if row["play"] == title]
        work = line([(row["clusters"], row["processor"]) for row in rows])
        if work:
            yield [
                _named(title),
                f"{work.fixed:.1f}",
                f"{work.each:.2f}",
                f"{work.at(MANY) / 3600:.1f}",
            ]
