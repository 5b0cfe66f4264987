# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether backups can be trusted: each check on both sides of its limit, and the metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.check import (
    Limits,
    Report,
    archive_lag,
    judge,
    limits_of,
    measure,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._metrics import METRICS, text_of

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = 3600
STRETCH = {"timeline": 2, "since": 1000.0, "until": 2000.0, "oldest": "1F"}
HOLE = {"first": "000000010000000000000006", "last": "000000010000000000000008", "count": 3}


def made(label: str, kind: str, hours: float, **more: Any) -> dict[str, Any]:
    stop = int(NOW.timestamp() - hours * HOUR)
    return {"label": label, "type": kind, "timestamp": {"start": stop - 60, "stop": stop}, **more}


FULL = made("1F", "full", 30, info={"repository": {"delta": 4096}})
INCR = made("1F_2I", "incr", 2, reference=["1F"])


def status(**more: Any) -> dict[str, Any]:
    return {
        "primary": "a",
        "nodes": [{"name": "a", "lsn": "0/9000060", "certificate_days": 300.0}, {"name": "b", "certificate_days": 20}],
        "archive": {"failing": False, "last_segment": "000000020000000000000008", "last_segment_age_s": 5000},
        **more,
    }


def facts(*backups: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"stretches": [STRETCH], "holes": [], "missing": 0, "orphans": 0, "reason": "", **more}
    return measure({"backup": list(backups or (FULL, INCR))}, now=NOW, **given)


def judged(
    found: dict[str, Any] | None = None, seen: dict[str, Any] | None = None, limits: Limits | None = None
) -> Report:
    return judge("main", found or facts(), status() if seen is None else seen, limits or Limits())


def failures(report: Report) -> dict[str, str]:
    return {check.code: check.message for check in report.failed}


def drilled(hours: float = 1, result: str = "passed") -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW.timestamp() - hours * HOUR, UTC).isoformat()
    return {
        **INCR,
        "annotation": {
            "relevo-drill-at": at,
            "relevo-drill-result": result,
            "relevo-drill-reason": "pg_amcheck found it corrupt.",
            "relevo-drill-rto": "312",
            "relevo-drill-rpo": "40",
        },
    }


def test_all_is_well() -> None:
    report = judged()
    assert failures(report) == {}
    assert report.text.splitlines()[:2] == [
        "Backups of main: can be trusted.",
        "  backup-age: The newest backup, 1F_2I, is 2 h 00 min old.",
    ]


@pytest.mark.parametrize(
    ("backups", "limits", "code", "words"),
    [
        ([FULL], Limits(), "backup-age", "1F, is 1 d 06 h old, more than 1 d 02 h. Run backup.yml"),
        ([INCR], Limits(), "full-age", "There is no full backup. Take one: backup.yml -e day=1."),
        ([FULL, INCR], Limits(full_age=29 * HOUR), "full-age", "more than 1 d 05 h"),
        ([INCR], Limits(), "chain", "The base of 1F_2I is missing"),
        ([{**FULL, "error": True}, INCR], Limits(), "page-errors", "1F: pages with a wrong checksum"),
        ([FULL, drilled(900)], Limits(), "drill", "more than 35 d 00 h. Run drill.yml."),
        ([FULL, drilled(result="failed")], Limits(), "drill", "failed. pg_amcheck found it corrupt. Run drill.yml"),
        ([FULL, INCR], Limits(drill_required=True), "drill", "No drill has tried any of these backups. Run drill.yml."),
        ([FULL, drilled()], Limits(rto=300), "rto", "RTO 5 min 12 s, more than 5 min 00 s"),
        ([FULL, drilled()], Limits(rpo=30), "rpo", "RPO 40 s, more than 30 s"),
    ],
)
def test_what_is_past_its_limit_says_what_to_do(
    backups: list[dict[str, Any]], limits: Limits, code: str, words: str
) -> None:
    assert words in failures(judged(facts(*backups), limits=limits))[code]


def test_without_a_backup_both_ages_fail() -> None:
    empty = measure({"backup": []}, [], [], 0, 0, "", NOW)
    assert set(failures(judged(empty))) == {"backup-age", "full-age"}


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"holes": [HOLE]}, "archive-hole", "3 segments missing in the archive (000000010000000000000006 to"),
        ({"missing": 1}, "catalog", "1 backup not recorded, 0 records without a backup. Run cleanup.yml"),
        ({"orphans": 2}, "catalog", "0 backups not recorded, 2 records without a backup"),
        ({"missing": None, "orphans": None, "reason": "Redis is away."}, "catalog", "cannot be read. Redis is away."),
    ],
)
def test_what_the_repository_and_the_catalog_say(more: dict[str, Any], code: str, words: str) -> None:
    assert words in failures(judged(facts(**more)))[code]


def test_a_backup_that_is_being_taken_has_no_record_yet() -> None:
    running = {"backup": [FULL, INCR], "status": {"lock": {"backup": {"held": True}}}}
    assert failures(judged(measure(running, [], [], 1, 0, "", NOW))) == {}


@pytest.mark.parametrize(
    ("lsn", "age", "lag"),
    [
        # The archived segment ends at 0/9000000.
        ("0/9000060", 5000, (0x60, 0)),
        ("0/9FFFFFF", 5000, (0xFFFFFF, 0)),
        ("0/A000000", 5000, (0x1000000, 5000)),
        ("0/8000000", 5, (0, 0)),
    ],
)
def test_less_than_a_segment_is_no_lag(lsn: str, age: int, lag: tuple[float, float]) -> None:
    archive = {"last_segment": "000000020000000000000008", "last_segment_age_s": age}
    assert archive_lag(status(archive=archive, nodes=[{"name": "a", "lsn": lsn}])) == lag


@pytest.mark.parametrize(
    ("seen", "code", "words"),
    [
        (status(nodes=[{"name": "a", "lsn": "0/A000000"}]), "archive-lag", "1 h 23 min (16.0 MiB) behind"),
        (status(archive={"failing": True, "last_failed_segment": "x"}), "archive-lag", "Archiving fails at x"),
        (status(primary=None), "archive-lag", "No primary says"),
        ({}, "archive-lag", "No primary says"),
        (status(nodes=[{"name": "a", "lsn": "0/9000060", "certificate_days": 3}]), "certificate", "3 more days: then"),
    ],
)
def test_what_the_servers_say(seen: dict[str, Any], code: str, words: str) -> None:
    assert words in failures(judged(seen=seen))[code]


def test_a_limit_of_zero_is_not_looked_at() -> None:
    limits = Limits(backup_age=0, full_age=0, archive_lag=0, drill_age=0, certificate_days=0)
    old = facts(made("1F", "full", 9000), drilled(9000))
    assert failures(judged(old, {}, limits)) == {}


def test_limits_come_as_text_or_numbers() -> None:
    given = limits_of({"backup_age": "3600", "rto": 5, "drill_required": "true"})
    assert given == replace(Limits(), backup_age=3600.0, rto=5.0, drill_required=True)
    with pytest.raises(RelevoError, match="The limit rpo is 'soon', which is not a number"):
        limits_of({"rpo": "soon"})


def test_prometheus_reads_every_metric() -> None:
    report = judged(facts(FULL, drilled(), holes=[HOLE])).as_dict()
    families = {
        one.name: one for one in text_string_to_metric_families(text_of([report, {**report, "cluster": 'x"y'}]))
    }
    # Those of the timers are written by their own runs.
    assert set(families) == {name for name in METRICS if not name.startswith("relevo_scheduled_run_")}
    ages = {
        one.labels["type"]: one.value
        for one in families["relevo_backup_age_seconds"].samples
        if one.labels["cluster"] == "main"
    }
    assert ages == {"any": 2 * HOUR, "full": 30 * HOUR}
    assert {one.labels["cluster"] for one in families["relevo_backups"].samples} == {"main", 'x"y'}
    [missing] = [one for one in families["relevo_archive_missing_segments"].samples if one.labels["cluster"] == "main"]
    assert missing.value == 3
