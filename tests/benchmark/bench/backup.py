"""What ``backup.yml`` costs beside pgBackRest itself: full backups of the same cluster by both, in alternating pairs.

Import it only where ``systems.relevo`` may be imported, which names the tests' cluster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

# First: it names the tests' cluster, whose driver reads that name when it is imported.
from systems.relevo import Relevo, play, result_of  # isort: skip
import cluster  # isort: skip
from bench.figures import overhead
from bench.rounds import order, say
from bench.targets import Row
from systems.base import BenchmarkError, in_node

STANZA = "main"
FILLED = "bench_backup"
MIB = 1 << 20
#: Of a size that a transaction writes in seconds, and whose WAL the archiver takes before the next one comes.
PORTION_ROWS, PORTION_MIB = 300_000, 128
#: Hexadecimal digests: no row is like another, and a digit carries 4 of a byte's 8 bits, so that no compression leaves
#: less than half. A table of pgbench, which is padded with blanks, would be compressed away.
DIGESTS = " || ".join(f"md5('{letter}' || n)" for letter in "abcdefghijkl")
PORTION = "INSERT INTO filled SELECT n, {digests} FROM generate_series({first}::bigint, {first} + {rows} - 1) AS n"
SIZE = "SELECT sum(pg_database_size(oid)) FROM pg_database"
PLAIN, PLAYBOOK = "plain", "playbook"
BACKUP_SECONDS = 1800


def portion(number: int) -> str:
    """The statement that writes the portion with this number, counted from 0."""
    return PORTION.format(digests=DIGESTS, first=number * PORTION_ROWS + 1, rows=PORTION_ROWS)


def _sql(node: str, statement: str, database: str = "postgres") -> str:
    return in_node(node, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement).strip()


def size(relevo: Relevo) -> int:
    """Bytes of all databases."""
    return int(_sql(relevo.primary(), SIZE))


def grow(relevo: Relevo, megabytes: int) -> None:
    """Fill a database of our own until all of them together have this size."""
    remove(relevo)
    primary = relevo.primary()
    _sql(primary, f"CREATE DATABASE {FILLED}")
    _sql(primary, "CREATE TABLE filled (n bigint, digests text NOT NULL)", FILLED)
    # Twice as many as it can take: a portion that is smaller than we think is no reason to go on for ever.
    for number in range(2 * megabytes // PORTION_MIB + 2):
        if size(relevo) >= megabytes * MIB:
            return
        _sql(primary, portion(number), FILLED)
        relevo.ready()
    raise BenchmarkError(f"{FILLED} on {primary} did not reach {megabytes} MB: look at its disk, and at its table.")


def remove(relevo: Relevo) -> None:
    _sql(relevo.primary(), f"DROP DATABASE IF EXISTS {FILLED} WITH (FORCE)")


def backups() -> dict[str, Mapping[str, Any]]:
    """What the repository holds, by label."""
    text = in_node(cluster.REPOSITORY, "pgbackrest", f"--stanza={STANZA}", "--output=json", "info")
    return {str(one["label"]): one for one in json.loads(text)[0]["backup"]}


def plain() -> dict[str, float]:
    """As somebody who has nothing but pgBackRest types it, with the same configuration."""
    command = ["pgbackrest", f"--stanza={STANZA}", "--type=full", "backup"]
    started = time.monotonic()
    in_node(cluster.REPOSITORY, *command, timeout=BACKUP_SECONDS)
    return {"seconds": time.monotonic() - started}


def by_playbook() -> dict[str, float]:
    """``backup.yml``; ``pgbackrest``: the seconds of pgBackRest in it."""
    seconds, tasks = play("backup.yml", "-e", "day=1")
    return {"seconds": seconds, "pgbackrest": float(result_of(tasks, "pgbackrest_backup", "duration")["duration"])}


WAYS: Mapping[str, Callable[[], dict[str, float]]] = {PLAIN: plain, PLAYBOOK: by_playbook}


def made(way: str, before: Mapping[str, Any], after: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The sizes of the one backup that is new. Two that are not of the same type must never be compared."""
    new = [after[label] for label in after if label not in before]
    if len(new) != 1 or new[0]["type"] != "full":
        found = ", ".join(f"{one['label']} ({one['type']})" for one in new) or "none"
        raise BenchmarkError(f"One full backup was expected of the way {way}; there is: {found}.")
    return {"bytes": new[0]["info"]["size"], "repository_bytes": new[0]["info"]["repository"]["delta"]}


def one(relevo: Relevo, way: str) -> dict[str, float]:
    """One full backup, of a pair that is at rest."""
    relevo.ready()
    before = backups()
    figures = WAYS[way]()
    return figures | made(way, before, backups())


def pair(relevo: Relevo, number: int) -> Row:
    """Both ways; every other pair begins with the other one."""
    ways = order((PLAIN, PLAYBOOK), number)
    row: Row = {"pair": number + 1, "first": ways[0]} | {way: one(relevo, way) for way in ways}
    said = ", ".join(f"{way} {row[way]['seconds']:.1f} s" for way in ways)
    say(f"backup, pair {number + 1}: {said}")
    return row


def measure(relevo: Relevo, pairs: int, megabytes: int) -> dict[str, Any]:
    """``pairs`` of full backups of ``megabytes``; ``summary``: see ``bench.figures.overhead``."""
    say(f"backup: {megabytes} MB are written")
    try:
        grow(relevo, megabytes)
        database = size(relevo)
        # Not counted: the first one after so much was written finds other caches than those after it.
        one(relevo, PLAIN)
        rows = [pair(relevo, number) for number in range(pairs)]
    finally:
        remove(relevo)
    return {
        "rows": rows,
        "megabytes": megabytes,
        "database_bytes": database,
        "summary": overhead([row[PLAIN]["seconds"] for row in rows], [row[PLAYBOOK]["seconds"] for row in rows]),
    }
