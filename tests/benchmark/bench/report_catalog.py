"""The page's section on the catalog with many records."""

from __future__ import annotations

import statistics
from typing import Any

from bench.figures import spread
from bench.pieces import numbers, table
from bench.targets import CATALOG_RECORDS, Row

MB = 1_000_000
MIB = 1 << 20


def section(part: dict[str, Any]) -> list[str]:
    """Blocks of Markdown; ``part`` is what ``bench.catalog.measure`` found."""
    rebuilds: list[Row] = part["rebuilds"]
    return [
        f"## The catalog with {part['records']} records",
        f"The promise, of {CATALOG_RECORDS} records: a filtered page of 50 within 20 ms (p95), a rebuild from "
        "`pgbackrest info` within 15 s and 300 MB of Redis, and a `catalog.yml` that takes at most 1.2 times as long "
        "as with ten. The records are those that the product's own code makes of an information of so many backups, in "
        "the Redis of a cluster; a few are of its real backups, the others of backups that never were, one each hour.",
        "*A page*: filters by type, primary, drill and time, each alone and together, in turn. From the connection "
        "to Redis to the finished table, by the code of the module that `catalog.yml` calls, on the repository host; "
        "not what pgBackRest takes to list the backups, and not Ansible. *Reading* is the part until the records are "
        "there. *All backups in the repository*: each of them is then looked for in the catalog, whatever the page; "
        "nothing is promised of that. *One by one*: the same page by `KEYS` and an `HGETALL` of each, as scripts do "
        "it; both found the same records. Milliseconds:",
        table(["What", "Backups in the repository", "Median", "p95", "Most", "Reading, p95", "Tries"],
              [*(_page(row) for row in part["pages"]), _one_by_one(part["one_by_one"])]),
        "*A rebuild*: the text of `info` is parsed, made into records, compared with what Redis has (it was emptied "
        "before) and written, by the code of the module that does so after each backup; not the way of that text "
        "through Ansible. Afterwards every record was read again, and equal field by field. *Memory* is the difference "
        "of Redis' own `used_memory`; *peak* has besides what Redis needs while it writes them all at once.",
        table(["Rebuild", "Least", "Median", "p95", "Most", "Runs"], [
            ["seconds", *numbers(spread([row["seconds"] for row in rebuilds]), 1), f"{len(rebuilds)}"],
            ["of it until the records are known",
             *numbers(spread([row["computing"] for row in rebuilds]), 1), f"{len(rebuilds)}"],
            ["memory of Redis, MB",
             *numbers(spread([row["memory_bytes"] / MB for row in rebuilds]), 1), f"{len(rebuilds)}"],
            ["peak, MB", *numbers(spread([row["peak_bytes"] / MB for row in rebuilds]), 1), f"{len(rebuilds)}"],
        ]),
        "`catalog.yml -e catalog_limit=20`, the whole play, with few records and with all of them in turn; the "
        "repository has its own few backups in both. MB are of the control host:",
        table(["Records", "Least", "Median", "p95", "Most", "Runs", "MB"],
              [_plays([row for row in part["plays"] if row["many"] is many]) for many in (False, True)]),
    ]  # fmt: skip


def _milliseconds(*seconds: float) -> list[str]:
    return [f"{1000 * one:.1f}" for one in seconds]


def _page(row: Row) -> list[str]:
    figures = _milliseconds(row["median"], row["p95"], row["most"], row["reading_p95"])
    return [row["what"], f"{row['backups']}", *figures, f"{row['tries']}"]


def _one_by_one(seconds: list[float]) -> list[str]:
    found = spread(seconds)
    figures = ["-"] * 3 if found is None else _milliseconds(found.median, found.p95, found.most)
    return ["one by one", "-", *figures, "-", f"{len(seconds)}"]


def _plays(rows: list[Row]) -> list[str]:
    found = spread([row["seconds"] for row in rows])
    memory = statistics.median(row["memory"] for row in rows) / MIB
    return [f"{rows[0]['records']}", *numbers(found, 1), f"{len(rows)}", f"{memory:.0f}"]
