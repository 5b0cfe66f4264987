"""What was promised, what was measured, and whether the one is the other: computed, never typed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from bench.figures import percentile

Row = dict[str, Any]
Verdict = Literal["met", "missed", "not measured", "not asked"]
#: One-minute load average per core below which a machine counts as quiet.
QUIET_LOAD_PER_CORE = 0.25
#: `backup.yml` may take so many seconds, and such a share of the plain backup, longer than it does. Of a cluster that
#: is smaller the seconds are all of it, so it is asked only from this size on.
BACKUP_SECONDS, BACKUP_SHARE, BACKUP_BYTES = 3, 0.03, 2 << 30
#: What is promised of the catalog is promised of so many records, and with fewer it is easy.
CATALOG_RECORDS = 100_000


@dataclass(frozen=True)
class Target:
    """``figure`` may be at most ``limit``; None: it was not measured. ``asked`` False: it does not apply."""

    text: str
    limit: float
    figure: float | None
    unit: str = "s"
    asked: bool = True

    @property
    def verdict(self) -> Verdict:
        if self.figure is None:
            return "not measured"
        if not self.asked:
            return "not asked"
        return "met" if self.figure <= self.limit else "missed"


def values(rows: Iterable[Row], figure: str, kind: str | None = None, *labels: tuple[str, str]) -> list[float]:
    """A figure of the runs of a kind (None: of all) that did not fail, of the systems with these names and variants."""
    return [
        float(row[figure])
        for row in rows
        if figure in row
        and kind in (None, row["kind"])
        and (not labels or (row["system"], row["variant"]) in labels)
        and "failure" not in row
    ]


def median(found: list[float]) -> float | None:
    return statistics.median(found) if found else None


def most(found: list[float]) -> float | None:
    return max(found, default=None)


def share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def quiet_load(cores: int) -> float:
    return QUIET_LOAD_PER_CORE * cores


def is_quiet(load_before: float, cores: int) -> bool:
    return load_before <= quiet_load(cores)


OURS, FLOOR = ("relevo", ""), ("floor", "")


def planned_targets(rows: list[Row], quiet_machine: bool) -> list[Target]:
    ours = median(values(rows, "outage", "quiet", OURS))
    floor = median(values(rows, "outage", "quiet", FLOOR))
    rivals = {(row["system"], row["variant"]) for row in rows if row["variant"] == "defaults"}
    medians = [found for one in rivals if (found := median(values(rows, "outage", "quiet", one))) is not None]
    fastest = min(medians, default=None)
    loaded = values(rows, "outage", "load", OURS)
    mine = [row for row in rows if (row["system"], row["variant"]) == OURS]
    counted = values(mine, "lost")
    failed = [row for row in mine if "failure" in row]
    only = "only where the machine is quiet"
    return [
        Target("outage, quiet: median, as a multiple of the floor's", 1.5, share(ours, floor), "x"),
        Target(
            "outage, quiet: median, as a share of the fastest rival's with its defaults",
            1 / 5,
            share(ours, fastest),
            "x",
        ),
        Target(f"the same ({only})", 1 / 10, share(ours, fastest), "x", quiet_machine),
        Target(f"outage, quiet: median ({only})", 0.12, ours, "s", quiet_machine),
        Target("outage under load: p95", 0.3, percentile(loaded, 0.95) if loaded else None),
        Target(f"acknowledged rows lost in {len(counted)} hand-overs", 0, sum(counted) if counted else None, "rows"),
        Target("hand-overs that failed", 0, float(len(failed)) if mine else None, "runs"),
        Target("`failover.yml` as a whole: longest", 15, most(values(rows, "failover.yml"))),
        Target("`failback.yml` as a whole: longest", 20, most(values(rows, "failback.yml"))),
    ]


def emergency_targets(rows: list[Row]) -> list[Target]:
    def beyond(kind: str, *figures: str) -> float | None:
        mine = [row for row in rows if (row["system"], row["variant"], row["kind"]) == (*OURS, kind)]
        return most(
            [
                row["first_write"] - sum(row[figure] for figure in figures)
                for row in mine
                if "first_write" in row and "failure" not in row
            ]
        )

    lost = values(rows, "lost", None, OURS)
    return [
        Target("killed: first write after the command, less its salvage: longest", 3, beyond("killed", "salvage")),
        Target("killed with a tail: the same, less its salvage", 3, beyond("killed with a tail", "salvage")),
        Target("paused: the same, less its fencing too", 3, beyond("paused", "salvage", "fencing")),
        Target("cut off: the same, less its fencing too", 3, beyond("cut off", "salvage", "fencing")),
        Target(f"acknowledged rows lost in {len(lost)} emergencies", 0, sum(lost) if lost else None, "rows"),
    ]


def proxy_targets(rows: list[Row]) -> list[Target]:
    planned, lost = values(rows, "later", "planned"), values(rows, "lost")
    sessions = values(rows, "session_wrote")
    failed = [row for row in rows if "failure" in row]
    return [
        Target("through HAProxy, planned: later than a client that names all nodes: longest", 1, most(planned)),
        Target(
            f"acknowledged rows lost in {len(lost)} hand-overs and emergencies, directly and through HAProxy",
            0,
            sum(lost) if lost else None,
            "rows",
        ),
        Target(
            f"sessions through HAProxy that could write afterwards, of {len(sessions)}",
            0,
            sum(sessions) if sessions else None,
            "sessions",
        ),
        Target(
            "hand-overs and emergencies behind HAProxy that failed", 0, float(len(failed)) if rows else None, "runs"
        ),
    ]


def api_targets(part: dict[str, Any], quiet_machine: bool) -> list[Target]:
    """Every answer counts, whatever it was about; the floor's are another server's.

    Without a pause between, a client waits for all the others: that tells how many answers there are in a second.
    """
    ours = [row for row in part["health"] if row["what"] != "floor"]
    clients = max((row["clients"] for row in ours), default=0)
    slowest = most([row["p95"] for row in ours if row["pace"] == "each second" and row["p95"] is not None])
    failed = sum(row["wrong"] + sum(row["errors"].values()) for row in ours)
    return [
        Target(
            f"health, {clients} clients that ask each second: p95 (only where the machine is quiet)",
            0.05,
            slowest,
            "s",
            quiet_machine,
        ),
        Target("answers about health that were wrong, or did not come", 0, float(failed), "answers"),
    ]


def backup_targets(part: dict[str, Any]) -> list[Target]:
    found = part["summary"]
    return [
        Target(
            f"`backup.yml` over the plain full backup, {part['database_bytes'] / (1 << 30):.1f} GiB: difference of the "
            f"medians ({BACKUP_SECONDS} s and {100 * BACKUP_SHARE:g} %; asked from {BACKUP_BYTES >> 30} GiB on)",
            BACKUP_SECONDS + BACKUP_SHARE * found["plain"],
            found["difference"],
            "s",
            part["database_bytes"] >= BACKUP_BYTES,
        )
    ]


def catalog_targets(part: dict[str, Any]) -> list[Target]:
    """``pages`` begins with the page that was promised; the longest rebuild and the most memory of all count."""
    asked = part["records"] >= CATALOG_RECORDS
    counted = f"{part['records']} records (asked from {CATALOG_RECORDS} on)"
    many = median([row["seconds"] for row in part["plays"] if row["many"]])
    few = median([row["seconds"] for row in part["plays"] if not row["many"]])
    memory = most([row["memory_bytes"] / 1e6 for row in part["rebuilds"]])
    return [
        Target(f"a filtered page of 50 of {counted}: p95", 0.02, part["pages"][0]["p95"], "s", asked),
        Target("the catalog rebuilt from `info`: longest", 15, most([row["seconds"] for row in part["rebuilds"]]), "s",
               asked),
        Target("what it takes in Redis then, MB: most", 300, None if memory is None else round(memory, 1), "MB", asked),
        Target("`catalog.yml -e catalog_limit=20`: median, as a multiple of that with a few records", 1.2,
               share(many, few), "x", asked),
    ]  # fmt: skip
