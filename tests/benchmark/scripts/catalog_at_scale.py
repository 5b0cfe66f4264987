"""The catalog with many records, by the product's own code: run on the repository host, where its modules run.

One JSON object on standard input: ``do`` (``rebuild``, ``pages``, ``one_by_one``, ``empty``), ``redis`` (what its
modules are given), and ``number``, ``tries``, ``whole`` where a task wants them. One on standard output.
The product's ``ansible_collections`` are beside this file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.filters import Filters
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.model import catalog_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page import page_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import (
    KEY_PREFIX,
    desired_records,
    index_for,
    label_time,
    newest_first,
)
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    connected,
    forget_left,
    known_keys,
    read_records,
    synchronise,
)
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.views import render
from ansible_collections.relevo.postgres.plugins.module_utils._names import REDIS_PORT, REPOSITORY_DIR
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until

STANZA = "main"
#: A page, as the promise has it.
LIMIT = 50
#: The steps of the product's cycle: type, day, step. The full backup with which day 6 ends opens the next one.
STEPS = (
    ("full", "1", "1/1"),
    ("incr", "2", "1/1"),
    ("incr", "3", "1/2"),
    ("diff", "3", "2/2"),
    ("incr", "4", "1/1"),
    ("incr", "5", "1/2"),
    ("diff", "5", "2/2"),
    ("diff", "6", "1/2"),
)
PRIMARIES = ("postgres_master", "postgres_slave")
#: A role stays where it is for so many backups; every so many are tried by a drill, and of these some fail.
STAYS, TRIED, FAILS = 40, 12, 5
DRILL = {"relevo-drill-at": "2026-11-26T03:00:00+00:00", "relevo-drill-rpo": "40"}
PASSED = {"relevo-drill-result": "passed", "relevo-drill-rto": "312"}
FAILED = {"relevo-drill-result": "failed", "relevo-drill-reason": "pg_amcheck found a corrupt index"}

Entry = dict[str, Any]


# --- an information of any length ------------------------------------------------------------------------------------


def generated(number: int, newest: datetime) -> Iterator[Entry]:
    """So many backups as ``pgbackrest info`` lists them, one each hour, the oldest first; all are before ``newest``."""
    full = prior = ""
    reference: list[str] = []
    for place in range(number):
        kind, day, step = STEPS[place % len(STEPS)]
        begin = newest - timedelta(hours=number - place)
        stamp = begin.strftime("%Y%m%d-%H%M%S")
        if kind == "full":
            label, prior, reference = f"{stamp}F", "", []
            full = label
        else:
            label = f"{full}_{stamp}{kind[0].upper()}"
            prior, reference = (full, [full]) if kind == "diff" else (prior, sorted({*reference, prior}))
        yield _entry(place, label, kind, begin, prior, reference) | {"annotation": _notes(place, day, step, stamp)}
        prior = label


def _entry(place: int, label: str, kind: str, begin: datetime, prior: str, reference: Sequence[str]) -> Entry:
    segment, start = f"{place:024X}", int(begin.timestamp())
    stored = 3_000_000_000 if kind == "full" else 200_000_000 + place
    return {
        "label": label,
        "type": kind,
        "prior": prior or None,
        "reference": list(reference) or None,
        "error": False,
        "timestamp": {"start": start, "stop": start + 300},
        "info": {"delta": stored, "size": 9_000_000_000, "repository": {"delta": stored, "delta-map": 2889}},
        "archive": {"start": segment, "stop": segment},
        "lsn": {"start": f"{place:X}/28", "stop": f"{place:X}/120"},
        "database": {"id": 1, "repo-key": 1},
        "backrest": {"format": 5, "version": "2.55.1"},
    }


def _notes(place: int, day: str, step: str, stamp: str) -> dict[str, str]:
    tried = {} if place % TRIED else DRILL | (PASSED if place % (TRIED * FAILS) else FAILED)
    return {
        "relevo-primary": PRIMARIES[place // STAYS % len(PRIMARIES)],
        "relevo-day": day,
        "relevo-step": step,
        "relevo-cycle": stamp,
        "relevo-requested": stamp,
        "relevo-by": "benchmark",
    } | tried


def extended(entry: Mapping[str, Any], number: int) -> Entry:
    """The repository's own information with so many backups before its own that there are ``number`` in all."""
    own = list(entry["backup"])
    newest = datetime.fromisoformat(" ".join(label_time(str(own[0]["label"]))))
    return {**entry, "backup": [*generated(max(0, number - len(own)), newest), *own]}


def asked() -> Entry:
    """What the repository says of itself."""
    command = ["pgbackrest", f"--stanza={STANZA}", "--output=json", "info"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: Entry = json.loads(done.stdout)[0]
    return found


def questions(newest: datetime) -> list[dict[str, Any]]:
    """What pages are asked for: each filter by itself, and some together."""
    since, before = (f"{newest - timedelta(days=days):%Y-%m-%d}" for days in (400, 200))
    return [
        {"type": "full"},
        {"primary": PRIMARIES[0]},
        {"verified": True},
        {"since": since, "before": before},
        {"type": "incr", "primary": PRIMARIES[1]},
        {"type": "diff", "since": since},
        {"primary": PRIMARIES[1], "verified": False, "before": before},
        {"type": "full", "primary": PRIMARIES[0], "verified": True, "since": since},
    ]


# --- what is measured ------------------------------------------------------------------------------------------------


def used_memory(redis: Mapping[str, Any]) -> dict[str, int]:
    """Bytes, once Redis writes nothing to its disk, over a connection that has sent nothing else."""
    with connected(redis) as client:

        def at_rest() -> bool:
            saving = client.info("persistence")
            return not (saving["rdb_bgsave_in_progress"] or saving["aof_rewrite_in_progress"])

        wait_until(at_rest, "Redis to have saved", 300, 0.2)
        found = client.info("memory")
        return {"used": int(found["used_memory"]), "peak": int(found["used_memory_peak"])}


def empty(redis: Mapping[str, Any]) -> None:
    with connected(redis) as client:
        client.flushall()


def rebuild(redis: Mapping[str, Any], text: str, repo_path: str) -> dict[str, Any]:
    """What ``redis_backup_record`` does, from the text of ``info`` into a Redis that has nothing.

    Fails where a record then differs in any field from what the information asks for.
    """
    empty(redis)
    before = used_memory(redis)
    started = perf_counter()
    entry = json.loads(text)[0]
    desired = desired_records(entry["backup"], STANZA, repo_path, entry["db"])
    computed = perf_counter()
    with connected(redis) as client:
        plan, _existing = synchronise(client, STANZA, desired, write=True)
        forget_left(client, STANZA, write=True)
        total = client.zcard(index_for(STANZA))
    ended = perf_counter()
    after = used_memory(redis)
    with connected(redis) as client:
        held = read_records(client, known_keys(client, STANZA).mine)
    if held != desired or not len(plan.write) == total == len(entry["backup"]):
        raise SystemExit(f"Of {len(desired)} records {total} are there, or some have other fields.")
    return {
        "records": total,
        "seconds": ended - started,
        "computing": computed - started,
        "memory_bytes": after["used"] - before["used"],
        # Of the whole life of that Redis: what a rebuild needs beside its records is in it.
        "peak_bytes": after["peak"] - before["used"],
        "info_bytes": len(text),
    }


def page(
    redis: Mapping[str, Any], entry: Mapping[str, Any], repo_path: str, question: Mapping[str, Any]
) -> tuple[float, float, list[str]]:
    """What ``catalog_view`` does for a page: seconds in all, those until the records are there, and their keys."""
    labels = [str(backup["label"]) for backup in entry["backup"]]
    started = perf_counter()
    filters = Filters.given(**question)
    with connected(redis) as client:
        found = page_of(client, STANZA, filters, LIMIT, labels)
    read = perf_counter()
    render("table", catalog_of(found, entry, STANZA, repo_path, LIMIT, filters=filters))
    return perf_counter() - started, read - started, [one["key"] for one in found["records"]]


def pages(
    redis: Mapping[str, Any], entry: Mapping[str, Any], repo_path: str, asking: Sequence[Mapping[str, Any]], tries: int
) -> dict[str, Any]:
    """So many pages, each question in its turn."""
    taken = [page(redis, entry, repo_path, asking[number % len(asking)]) for number in range(tries)]
    return {
        "backups": len(entry["backup"]),
        "seconds": [seconds for seconds, _read, _keys in taken],
        "reading": [read for _seconds, read, _keys in taken],
        "rows": [len(keys) for _seconds, _read, keys in taken],
    }


def one_by_one(redis: Mapping[str, Any], question: Mapping[str, Any]) -> tuple[float, list[str]]:
    """The same page as the former scripts found theirs: KEYS, and HGETALL of each. Seconds, and the keys."""
    started = perf_counter()
    filters = Filters.given(**question)
    with connected(redis) as client:
        records = {key: client.hgetall(key) for key in client.keys(f"{KEY_PREFIX}*")}
    matching = [key for key in newest_first(records) if filters.matches(key, records[key])]
    return perf_counter() - started, matching[:LIMIT]


def compared(
    redis: Mapping[str, Any], entry: Mapping[str, Any], repo_path: str, asking: Sequence[Mapping[str, Any]], tries: int
) -> dict[str, Any]:
    """``one_by_one`` so often. Fails where our own page has other records: what is quick and wrong is of no use."""
    seconds = []
    for number in range(tries):
        question = asking[number % len(asking)]
        took, keys = one_by_one(redis, question)
        ours = page(redis, entry, repo_path, question)[2]
        if ours != keys:
            raise SystemExit(f"A page of {question} has {ours}, and one by one these were found: {keys}.")
        seconds.append(took)
    return {"seconds": seconds}


def work(given: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """``entry``: what the repository says."""
    redis, repo_path = {"port": REDIS_PORT, **given["redis"]}, str(REPOSITORY_DIR)
    asking = questions(datetime.fromisoformat(" ".join(label_time(str(entry["backup"][0]["label"])))))
    tasks: dict[str, Callable[[], dict[str, Any] | None]] = {
        "empty": lambda: empty(redis),
        "rebuild": lambda: rebuild(redis, json.dumps([extended(entry, given["number"])]), repo_path),
        # ``whole``: all backups are in the repository, not its own few.
        "pages": lambda: pages(
            redis,
            extended(entry, given["number"]) if given["whole"] else entry,
            repo_path,
            asking,
            given["tries"],
        ),
        "one_by_one": lambda: compared(redis, entry, repo_path, asking, given["tries"]),
    }
    return tasks[given["do"]]() or {}


if __name__ == "__main__":
    print(json.dumps(work(json.load(sys.stdin), asked())))
