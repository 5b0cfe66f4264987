"""The page's section on what ``backup.yml`` costs beside pgBackRest itself."""

from __future__ import annotations

import statistics
from typing import Any

from bench.figures import spread
from bench.pieces import numbers, table
from bench.targets import BACKUP_BYTES, BACKUP_SECONDS, BACKUP_SHARE, Row

MIB = 1 << 20
WAYS = {"plain": "`pgbackrest --type=full backup`", "playbook": "`ansible-playbook backup.yml -e day=1`"}


def section(part: dict[str, Any]) -> list[str]:
    """Blocks of Markdown; ``part`` is what ``bench.backup.measure`` found."""
    rows: list[Row] = part["rows"]
    found = part["summary"]
    inside = statistics.median(row["playbook"]["seconds"] - row["playbook"]["pgbackrest"] for row in rows)
    return [
        "## A backup",
        f"The promise: `backup.yml` takes at most {BACKUP_SECONDS} s and {100 * BACKUP_SHARE:g} % longer than the "
        f"plain backup of the same cluster, at {BACKUP_BYTES >> 30} GiB. Measured on databases of "
        f"{part['database_bytes'] / MIB:.0f} MiB together, rows of hexadecimal digests, which cannot be compressed to "
        f"less than half. A backup took {_stored(rows) / MIB:.0f} MiB in the repository.",
        f"{len(rows)} pairs, a full backup each way, every other pair in the other order; one before them is not "
        "counted. *Plain*: pgBackRest in the repository host's container with the same configuration, the start of "
        "`docker exec` included. Both expire what retention no longer keeps. The playbook besides finds the primary, "
        "takes the operation lock, decides, and brings the catalog up to date. Seconds:",
        table(["Backup", "Least", "Median", "p95", "Most", "Runs"], [_way(rows, way) for way in WAYS]),
        f"Medians: {found['ratio']:.2f} times as long, a difference of {found['difference']:.1f} s; within a pair the "
        f"median difference is {found['difference_of_a_pair']:.1f} s. Of each `backup.yml` {inside:.1f} s were not "
        "pgBackRest's (median).",
        table(["Pair", "First", "Plain, s", "`backup.yml`, s", "of it pgBackRest, s", "Difference, s"],
              [_pair(row) for row in rows]),
    ]  # fmt: skip


def _stored(rows: list[Row]) -> float:
    return statistics.median(float(row[way]["repository_bytes"]) for row in rows for way in WAYS)


def _way(rows: list[Row], way: str) -> list[str]:
    found = spread([row[way]["seconds"] for row in rows])
    return [WAYS[way], *numbers(found, 1), f"{len(rows)}"]


def _pair(row: Row) -> list[str]:
    plain, ours = row["plain"]["seconds"], row["playbook"]["seconds"]
    first = "plain" if row["first"] == "plain" else "`backup.yml`"
    inside = row["playbook"]["pgbackrest"]
    return [f"{row['pair']}", first, f"{plain:.1f}", f"{ours:.1f}", f"{inside:.1f}", f"{ours - plain:+.1f}"]
