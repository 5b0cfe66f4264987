"""The page's section on HAProxy in front of a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from bench.figures import spread
from bench.pieces import amount, ends, keys, numbers, problems, table
from bench.targets import Row, values

#: The client that a figure of a row belongs to.
CLIENTS = {"outage": "names both nodes", "outage_proxied": "through HAProxy"}
KINDS = {"planned": "planned", "killed": "primary killed"}
OUTAGES = ["", "Client", "Least", "Median", "p95", "Most", "Runs", "Failed"]
SESSIONS = ["", "Sessions", "Could write", "Ended, ms: median", "Most", "Before the next write, ms: least", "Told"]


def section(part: dict[str, Any]) -> list[str]:
    """Blocks of Markdown; ``part`` is what ``bench.proxy.measure`` found."""
    rows: list[Row] = part["rows"]
    lost = values(rows, "lost")
    return [
        "## Through HAProxy",
        "Seconds without an accepted write, as two clients see them at the same time in the same hand-overs. Each "
        "inserts every 2 ms and connects again 5 ms after it was disconnected: one names both nodes, the other knows "
        f"nothing but the address of HAProxy {part['haproxy']}, as the role `haproxy` sets it up. *Planned*: "
        "`failover.yml` and `failback.yml` in turn. *Primary killed*: SIGKILL to its container, after 0.5 s "
        "`failover.yml`, and then `rejoin.yml`; the half second is part of the outage.",
        table(OUTAGES, list(_outages(rows))),
        *_later(rows),
        *([f"Acknowledged rows lost, of both clients in {len(lost)} hand-overs: {sum(lost):g}."] if lost else []),
        "A session through HAProxy that was open with the old primary, idle in a transaction that had inserted a row, "
        "and that tries to commit as soon as it is told anything. *Ended*: after the last write that the old primary "
        "acknowledged to anybody. *Before the next write*: before the first that the new one acknowledged. *Could "
        "write*: its commit succeeded, or its row was found afterwards.",
        table(SESSIONS, list(_sessions(rows))),
        *problems(rows),
    ]


def _outages(rows: list[Row]) -> Iterable[list[str]]:
    for key in keys(rows):
        for figure, client in CLIENTS.items():
            yield [KINDS[key[2]], client, *numbers(spread(values(rows, figure, key[2])), 3), *ends(rows, key)]


def _later(rows: list[Row]) -> Iterable[str]:
    for *_system, kind in keys(rows):
        if found := spread(values(rows, "later", kind)):
            yield (
                f"The first write through HAProxy, after the first of the client that names both nodes, {KINDS[kind]}: "
                f"median {amount(found.median, 's')}, from {amount(found.least, 's')} to {amount(found.most, 's')}."
            )


def _sessions(rows: list[Row]) -> Iterable[list[str]]:
    for *_system, kind in keys(rows):
        mine = [row for row in rows if row["kind"] == kind and "failure" not in row]
        after, before = spread(values(mine, "session_after")), spread(values(mine, "session_before"))
        if after and before:
            told = Counter(row["session_error"] or "nothing" for row in mine)
            yield [
                KINDS[kind],
                f"{len(mine)}",
                f"{sum(row['session_wrote'] for row in mine)}",
                *(f"{1000 * value:.0f}" for value in (after.median, after.most, before.least)),
                "; ".join(f"{error} ({number})" for error, number in told.items()),
            ]
