"""The page's section on machines beside containers, and what was promised of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.figures import spread
from bench.pieces import ends, keys, numbers, problems, table
from bench.targets import Row, Target, median, share, values

CONTAINERS, MACHINES = ("relevo", ""), ("relevo", "machines")
#: The figure of each kind, and how it is called.
FIGURES = {
    "planned": ("outage", "hand-over: without writes"),
    "killed": ("first_write", "emergency: from the command to the first write"),
    "site.yml": ("command", "`site.yml` with nothing to do"),
}
HEADS = ["", "Nodes", "Least", "Median", "p95", "Most", "Runs", "Failed"]


def targets(rows: list[Row]) -> list[Target]:
    def middle(kind: str, where: tuple[str, str]) -> float | None:
        return median(values(rows, FIGURES[kind][0], kind, where))

    first, there = middle("killed", CONTAINERS), middle("killed", MACHINES)
    later = None if first is None or there is None else there - first
    lost = values(rows, "lost")
    failed = [row for row in rows if "failure" in row]
    return [
        Target("machines: an emergency's first write, later than on containers: median", 0.5, later),
        Target(
            "machines: a second `site.yml`, as a multiple of that on containers: median",
            1.5,
            share(middle("site.yml", MACHINES), middle("site.yml", CONTAINERS)),
            "x",
        ),
        Target(
            f"acknowledged rows lost in {len(lost)} hand-overs and emergencies, on machines and beside them",
            0,
            sum(lost) if lost else None,
            "rows",
        ),
        Target("runs on machines and beside them that failed", 0, float(len(failed)) if rows else None, "runs"),
    ]


def section(part: dict[str, Any]) -> list[str]:
    """Blocks of Markdown; ``part`` is what ``bench.machines.measure`` found."""
    rows: list[Row] = part["rows"]
    versions = ", ".join(f"{what} {number}" for what, number in part["machine_versions"].items())
    return [
        "## On machines",
        "Seconds, on containers of our image and on machines that took turns. A machine is a container with systemd as "
        "its first process, which is reached by sshd, as a user who has to give sudo a password. *Emergency*: on "
        "containers SIGKILL to the primary's container; on machines to each process of its server, whose program is "
        "gone, so that systemd cannot bring it back; 0.5 s later `failover.yml`, without a flag. *With nothing to do*: "
        "the machines' inventory has no sample database, and one host for the repository and Redis. The machines have "
        f"{versions}.",
        table(HEADS, list(_lines(rows))),
        *problems(rows),
    ]


def _lines(rows: list[Row]) -> Iterable[list[str]]:
    for kind, (figure, called) in FIGURES.items():
        for key in keys(rows):
            if key[2] == kind:
                nodes = "machines" if key[:2] == MACHINES else "containers"
                yield [called, nodes, *numbers(spread(values(rows, figure, kind, key[:2])), 2), *ends(rows, key)]
