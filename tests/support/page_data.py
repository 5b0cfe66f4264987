# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API says of a cluster in the states that the status page is looked at in: the shapes are the real ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route

NOW = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
CYCLE = ["completo", "incremental", "incremental", "diferencial", "incremental", "incremental", "diferencial"]


def iso(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def backups() -> list[dict[str, Any]]:
    """Two cycles, newest first, each on its chain."""
    found: list[dict[str, Any]] = []
    full = previous = ""
    for number in range(14):
        kind = CYCLE[number % 7]
        when = NOW - timedelta(hours=22 * (14 - number), minutes=13 * (number % 3))
        stamp = f"{when:%Y%m%d-%H%M%S}"
        label = f"{stamp}F" if kind == "completo" else f"{full}_{stamp}{'I' if kind == 'incremental' else 'D'}"
        record = {
            "fecha": f"{when:%Y-%m-%d}",
            "hora": f"{when:%H:%M:%S}",
            "tipo_backup": kind,
            "maestro_usado": "postgres_slave" if 6 < number < 10 else "postgres_master",
            "etiqueta": label,
            "terminado": iso(when + timedelta(seconds=40)),
        }
        if number in (0, 7):
            record |= {"verificado": iso(when), "resultado": "correcto" if number else "fallido"}
        if kind == "completo":
            full = label
        else:
            record["previo"] = full if kind == "diferencial" else previous
        previous = label
        found.insert(0, record)
    return found


def node(name: str, role: str | None, lag: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "role": role,
        "streaming": role == "standby",
        "timeline": 3 if role else None,
        "lsn": "0/1A3F4B28" if role == "primary" else None,
        "lag_bytes": lag,
        "replay_lag_bytes": lag,
        "lag_seconds": 0.0 if lag == 0 else None,
        "error": None if role else f"{name}: no answer within 2 s",
        **more,
    }


def live(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    primaries = [one["name"] for one in nodes if one["role"] == "primary"]
    return {
        "name": "main",
        "preferred": "postgres_master",
        "known": True,
        "primary": primaries[0] if len(primaries) == 1 else None,
        "primaries": primaries,
        "nodes": nodes,
    }


def status(nodes: list[dict[str, Any]], problems: list[dict[str, Any]], failing: bool = False) -> dict[str, Any]:
    primaries = [one["name"] for one in nodes if one["role"] == "primary"]
    return {
        "version": 1,
        "cluster": "main",
        "at": iso(NOW),
        "age_s": 2.5,
        "healthy": not problems,
        "primary": primaries[0] if primaries else None,
        "primaries": primaries,
        "nodes": [{"name": one["name"], "reason": None if one["role"] else "its container is exited"} for one in nodes],
        "archive": {"failing": failing, "last_segment": "00000003000000000000001A", "last_segment_age_s": 12},
        "backups": {
            "count": 14,
            "running": None,
            "last": {"label": "x", "type": "incr", "age_s": 5400, "finished": iso(NOW - timedelta(hours=1))},
            "recovery_window": {"from": iso(NOW - timedelta(hours=300)), "until": iso(NOW)},
            "next_day": 5,
        },
        "operations": [],
        "problems": problems,
    }


def job(state: str, operation: str, minutes: int, **more: Any) -> dict[str, Any]:
    created = NOW - timedelta(minutes=minutes)
    return {
        "id": f"{created:%Y%m%dT%H%M%S}-0000{minutes:04x}",
        "operation": operation,
        "playbook": "failover.yml",
        "cluster": "main",
        "variables": {},
        "requested_by": "ana",
        "address": "127.0.0.1",
        "created": iso(created),
        "state": state,
        "admitted": True,
        "backend": "1",
        "report": "",
        **more,
    }


HEALTHY = [node("postgres_master", "primary"), node("postgres_slave", "standby", 0), node("madrid", "standby", 348160)]
ILL = [node("postgres_master", None), node("postgres_slave", "primary"), node("madrid", "standby", 0, streaming=False)]
PROBLEMS: list[dict[str, Any]] = [
    {
        "code": "container-down",
        "severity": "error",
        "message": "postgres_master does not answer: its container is exited, and it is fenced.",
        "action": "Run rejoin.yml.",
        "node": "postgres_master",
    },
    {
        "code": "archive-hole-past",
        "severity": "warning",
        "message": "3 segments of WAL are missing in the archive, from 000000020000000000000011.",
        "action": "Take a full backup: backup.yml -e day=1.",
        "node": None,
    },
]
PLAN = {
    "version": 1,
    "operation": "failover",
    "cluster": "main",
    "action": "switchover",
    "message": "Hand over from postgres_master to postgres_slave.",
    "affects": [
        {"name": "postgres_master", "change": "is stopped, and becomes a standby"},
        {"name": "postgres_slave", "change": "becomes primary, on timeline 4"},
    ],
    "expected": ["Writes are refused for about 0.2 s.", "A backup works at once."],
    "risks": ["Unlogged tables would be empty after it: imdb public.cache."],
    "refusals": [],
}


def answers(ill: bool = False, scope: str = "operate") -> dict[str, Any]:
    """By path."""
    nodes = ILL if ill else HEALTHY
    jobs = [job("succeeded", "failback", 70), job("succeeded", "backups", 1500)]
    if ill:
        jobs.insert(0, job("interrupted", "switchover", 4, variables={"candidate": "postgres_slave"}))
    names = ["switchover", "failover", "failback", "rejoin", "backups", "restores", "drills", "cleanup"]
    records = backups()
    return {
        "/v1/me": {"name": "ana", "scope": scope},
        "/v1/operations": {"operations": [{"name": name} for name in names]},
        "/v1/clusters": {"clusters": [live(nodes)]},
        "/v1/clusters/main/nodes": live(nodes),
        "/v1/clusters/main": status(nodes, PROBLEMS if ill else [], ill),
        "/v1/clusters/main/backups": {"total": len(records), "limit": 200, "offset": 0, "items": records},
        "/v1/jobs": {"total": len(jobs), "limit": 8, "offset": 0, "items": jobs},
        "/v1/clusters/main/switchover": PLAN,
    }


def stand_in(page: Page, told: dict[str, Any]) -> None:
    """Answer the page's questions in place of the API. A job that is followed has nothing to tell yet, as one that has
    just begun: the page asks for its events whenever it gets to it, so a test would only sometimes have to answer.
    """

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path.endswith("/events"):
            route.fulfill(status=200, content_type="text/event-stream", body=": nothing yet\n\n")
        else:
            route.fulfill(status=200, content_type="application/json", body=json.dumps(told[path]))

    page.route("**/v1/**", answer)
