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

from ansible_collections.relevo.postgres.plugins.filter.catalog_reports import catalog_reports
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.check import (
    Limits,
    Report,
    archive_lag,
    judge,
    limits_of,
    measure,
)
from ansible_collections.relevo.postgres.plugins.module_utils._drill_note import carried, last_drill
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
    """Of a repository all of whose backups lead to now, if ``more`` does not say otherwise."""
    listed = list(backups or (FULL, INCR))
    entry: dict[str, Any] = {"backup": listed}
    entry |= {key: more.pop(key) for key in ("db", "status") if key in more}
    reach: dict[str, Any] = {"stretches": [STRETCH], "holes": [], "leading": listed, "window": ""}
    kept: dict[str, Any] = {"lost": [], "first": NOW.timestamp() - 30 * HOUR}
    for given in (reach, kept):
        for key in tuple(given):
            given[key] = more.pop(key, given[key])
    return measure(entry, reach, kept, now=NOW, **{"missing": 0, "orphans": 0, "reason": "", **more})


def judged(
    found: dict[str, Any] | None = None, seen: dict[str, Any] | None = None, limits: Limits | None = None
) -> Report:
    return judge("main", found or facts(), status() if seen is None else seen, limits or Limits())


def failures(report: Report) -> dict[str, str]:
    return {check.code: check.message for check in report.failed}


@pytest.mark.parametrize(
    ("seen", "failed"),
    [
        ({"count": 1, "away": []}, {}),
        ({"count": 2, "away": []}, {}),
        (
            {"count": 2, "away": [{"repository": 2, "reason": "It takes no connections."}]},
            {"repository-away": "Repository 2 is away. It takes no connections."},
        ),
    ],
)
def test_one_of_two_repositories_that_is_away(seen: dict[str, Any], failed: dict[str, str]) -> None:
    report = judged(seen=status(repository=seen))
    assert {code: said for code, said in failures(report).items() if code == "repository-away"} == failed
    assert ("repository-away" in {check.code for check in report.checks}) == (seen["count"] > 1)
    metrics = {metric.name: metric.value for metric in report.metrics}
    assert (metrics["relevo_repositories"], metrics["relevo_repositories_away"]) == (seen["count"], len(seen["away"]))


def test_wal_that_was_dropped_is_a_hole_although_nothing_came_after_it() -> None:
    """Seen: "The archive has no hole. The archive is 0 s (96 B) behind the primary"."""
    dropped = {"first": "000000020000000000000007", "last": "000000020000000000000008", "count": 2, "history": ""}
    seen = status()
    seen["archive"] = seen["archive"] | {"dropped": dropped}
    report = judged(seen=seen)
    assert "2 segments missing in the archive (000000020000000000000007 to" in failures(report)["archive-hole"]
    metrics = {metric.name: metric.value for metric in report.metrics}
    assert metrics["relevo_archive_missing_segments"] == 2
    # From neither repository: they are given away when both have them.
    both = judged({**facts(), "repository": 1, "others": [{**facts(), "repository": 2}]}, seen)
    assert len([check for check in both.failed if check.code == "archive-hole"]) == 2


def test_what_is_old_in_the_other_repository_is_not_made_good_by_the_first() -> None:
    old = {**facts(made("9F", "full", 60 * 24), holes=[HOLE]), "repository": 2}
    report = judged({**facts(), "repository": 1, "others": [old]})
    assert {(check.code, check.repository) for check in report.failed} == {
        ("backup-age", 2),
        ("full-age", 2),
        ("archive-hole", 2),
    }
    assert failures(report)["backup-age"].startswith(
        "In repository 2: The newest backup, 9F, is 60 d 00 h old, more than"
    )
    lines = report.text.splitlines()
    assert lines[0] == "Backups of main: NEED ATTENTION."
    # What is well of it is one line; what is well of the first one is as it was.
    assert "  repository 2: window, chain, catalog: within their limits there, too." in lines
    assert "  backup-age: The newest backup, 1F_2I, is 2 h 00 min old." in lines
    failed = {tuple(one.labels.items()): one.value for one in report.metrics if one.name == "relevo_check_failed"}
    assert failed[(("check", "backup-age"),)] == 0
    assert failed[(("check", "backup-age"), ("repository", "2"))] == 1


@pytest.mark.parametrize(
    ("limits", "failed"),
    [
        (Limits(), {"backup-age"}),
        # One that gets a backup a week has limits of its own.
        (Limits(repo2_backup_age=8 * 24 * HOUR), set()),
        (Limits(repo2_backup_age=0), set()),
        (Limits(backup_age=0), set()),
        (Limits(repo2_backup_age=8 * 24 * HOUR, repo2_full_age=24 * HOUR), {"full-age"}),
    ],
)
def test_a_second_repository_may_have_another_cycle(limits: Limits, failed: set[str]) -> None:
    other = {**facts(made("9F", "full", 100)), "repository": 2}
    assert {check.code for check in judged({**facts(), "others": [other]}, limits=limits).failed} == failed


def test_the_metrics_of_the_first_are_the_same_with_two() -> None:
    one, two = facts(), {**facts(made("9F", "full", 60 * 24)), "repository": 2}
    alone = [metric for metric in judged(one).metrics if metric.name != "relevo_check_timestamp_seconds"]
    both = judged({**one, "repository": 1, "others": [two]}).metrics
    assert all(metric in both for metric in alone)
    [other] = [
        metric for metric in both if metric.labels == {"type": "any", "repository": "2"} and "age" in metric.name
    ]
    assert other.value == 60 * 24 * HOUR
    # As Prometheus reads it: an empty label is none.
    report = judged({**one, "others": [two]}).as_dict()
    families = {found.name: found for found in text_string_to_metric_families(text_of([report]))}
    ages = {tuple(sorted(sample.labels.items())) for sample in families["relevo_backup_age_seconds"].samples}
    assert (("cluster", "main"), ("repository", ""), ("type", "any")) in ages
    assert (("cluster", "main"), ("repository", "2"), ("type", "any")) in ages


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
    assert report.text.splitlines()[:3] == [
        "Backups of main: can be trusted.",
        "  window: 1F_2I and the archive lead to the newest timeline's end.",
        "  backup-age: The newest backup, 1F_2I, is 2 h 00 min old.",
    ]


@pytest.mark.parametrize(
    ("backups", "limits", "code", "words"),
    [
        ([FULL], Limits(), "backup-age", "1F, is 1 d 06 h old, more than 1 d 02 h. Run backup.yml"),
        ([INCR], Limits(), "full-age", "no full backup that can be restored. Take one: backup.yml -e day=1."),
        ([FULL, INCR], Limits(full_age=29 * HOUR), "full-age", "more than 1 d 05 h"),
        ([INCR], Limits(), "chain", "1F_2I cannot be restored: files of it or of its base are"),
        ([{**FULL, "error": True}, INCR], Limits(), "page-errors", "1F: pages with a wrong checksum"),
        ([FULL, drilled(900)], Limits(), "drill", "more than 8 d 00 h. Run drill.yml."),
        ([FULL, drilled(result="failed")], Limits(), "drill", "failed. pg_amcheck found it corrupt. Run drill.yml"),
        ([FULL, INCR], Limits(drill_required=True), "drill", "No drill has shown that these backups can be restored."),
        ([FULL, drilled()], Limits(rto=300), "rto", "RTO 5 min 12 s, more than 5 min 00 s"),
        ([FULL, drilled()], Limits(rpo=30), "rpo", "RPO 40 s, more than 30 s"),
    ],
)
def test_what_is_past_its_limit_says_what_to_do(
    backups: list[dict[str, Any]], limits: Limits, code: str, words: str
) -> None:
    assert words in failures(judged(facts(*backups), limits=limits))[code]


def test_without_a_backup_both_ages_fail() -> None:
    reach: dict[str, Any] = {"stretches": [], "holes": [], "leading": [], "window": "No backup leads to timeline 1."}
    empty = measure({"backup": []}, reach, {"lost": [], "first": None}, 0, 0, "", NOW)
    assert set(failures(judged(empty))) == {"window", "backup-age", "full-age"}


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
    running = {"lock": {"backup": {"held": True}}}
    assert failures(judged(facts(status=running, missing=1))) == {}


def test_a_backup_that_leads_nowhere_is_neither_the_newest_nor_the_way_to_now() -> None:
    found = failures(judged(facts(leading=[FULL])))
    assert set(found) == {"backup-age"}
    assert "The newest backup, 1F, is 1 d 06 h old" in found["backup-age"]
    found = failures(judged(facts(leading=[], window="No backup leads to timeline 2.")))
    assert set(found) == {"window", "backup-age", "full-age"}
    assert found["window"] == "No backup leads to timeline 2."


def test_a_backup_whose_directory_is_gone_breaks_all_that_builds_on_it() -> None:
    found = failures(judged(facts(lost=["1F"])))
    assert set(found) == {"window", "chain", "backup-age", "full-age"}
    assert found["chain"].startswith("1F, 1F_2I cannot be restored")
    assert set(failures(judged(facts(lost=["1F_2I"])))) == {"chain", "backup-age"}


@pytest.mark.parametrize(
    ("days", "limits", "ok", "words"),
    [
        (1, Limits(), True, "Run drill.yml: in 7 d 00 h this becomes a failure."),
        (9, Limits(), False, "No drill has shown that these backups can be restored. Run drill.yml."),
        (1, Limits(drill_required=True), False, "Run drill.yml."),
        (900, Limits(drill_age=0), True, "nothing asks for it (catalog_check_max_drill_age=0)."),
        (None, Limits(), True, "in 8 d 00 h"),
    ],
)
def test_without_a_drill_one_is_told_and_after_the_limit_fails(
    days: float | None, limits: Limits, ok: bool, words: str
) -> None:
    first = None if days is None else NOW.timestamp() - days * 24 * HOUR
    [found] = [one for one in judged(facts(first=first), limits=limits).checks if one.code == "drill"]
    assert (found.ok, words in found.message) == (ok, True), found.message


def test_what_a_drill_found_outlives_the_backup_that_it_tried() -> None:
    failed = {**drilled(200, "failed"), "label": "0F"}
    carrying = {**INCR, "annotation": carried([failed])}
    assert "The last drill, of 0F, failed." in failures(judged(facts(FULL, carrying)))["drill"]
    passed = {**INCR, "annotation": carried([carrying, drilled(193)])}
    assert "passed 8 d 01 h ago, more than 8 d 00 h" in failures(judged(facts(FULL, passed)))["drill"]
    again = {**carrying, "annotation": {**carrying["annotation"], **drilled(1)["annotation"]}}
    assert "drill" not in failures(judged(facts(FULL, again)))


def test_what_a_drill_of_another_system_found_does_not_count() -> None:
    databases = [{"id": 1, "system-id": 11}, {"id": 2, "system-id": 22}]
    old, new = ({**one, "database": {"id": number}} for number, one in ((1, drilled(1)), (2, FULL)))
    assert facts(old, new, db=databases)["drill"] is None


@pytest.mark.parametrize("value", ["", "not json", "[]", "{}", '{"label": "1F"}'])
def test_a_carried_result_that_is_none(value: str) -> None:
    assert last_drill([{**FULL, "annotation": {"relevo-last-drill": value}}]) is None
    assert carried([FULL]) == {}


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
        (
            status(nodes=[{"name": "a", "lsn": "0/9000060", "certificate_days": 3}]),
            "certificate",
            "3 more days: then nothing is archived",
        ),
        # That of a host with HAProxy; one that does not answer has none.
        (
            status(proxies=[{"name": "q"}, {"name": "p", "certificate_days": 3}]),
            "certificate",
            "The certificate of p is valid for 3 more days: then no server lets HAProxy in",
        ),
    ],
)
def test_what_the_servers_say(seen: dict[str, Any], code: str, words: str) -> None:
    assert words in failures(judged(seen=seen))[code]


def of(days: float, name: str = "CN=Relevo authority") -> dict[str, Any]:
    return {"name": name, "ends": "2026-11-24T09:00:00+00:00", "days": days}


@pytest.mark.parametrize(
    ("days", "name", "words"),
    [
        (3, "CN=Relevo authority", "CN=Relevo authority of the certificates is valid for 3 more days: then nothing is"),
        (
            3,
            "CN=Relevo authority",
            "Run site.yml, which renews it with the same key, or rotate.yml -e rotate=authority",
        ),
        (-3, "CN=Root,O=Acme", "It is not one of ours, and no play renews it: have its owner renew it"),
    ],
)
def test_an_authority_that_ends_is_said_with_who_renews_it(days: float, name: str, words: str) -> None:
    # Of whichever host: that of the repository is looked at, too.
    found = failures(judged(seen=status(repository={"host": "r", "authority": of(days, name)})))
    assert words in found["authority"]


def test_an_authority_that_lasts_is_no_failure_and_not_to_be_looked_at_is_said() -> None:
    seen = status(nodes=[{"name": "a", "lsn": "0/9000060", "authority": of(20)}])
    assert [one.ok for one in judged(seen=seen).checks if one.code == "authority"] == [True]
    limits = Limits(certificate_days=0)
    assert [one.code for one in judged(seen=seen, limits=limits).checks if one.code == "authority"] == []


def test_the_metrics_have_every_certificate() -> None:
    own = {"host": "r", "certificate_days": 7, "authority": of(9)}
    seen = status(proxies=[{"name": "p", "certificate_days": 2}], repository=own)
    found = judged(seen=seen).metrics
    days = {one.labels["node"]: one.value for one in found if one.name == "relevo_certificate_expiry_seconds"}
    assert days == {"a": 300 * 86400.0, "b": 20 * 86400.0, "r": 7 * 86400.0, "p": 2 * 86400.0}
    days = {one.labels["node"]: one.value for one in found if one.name == "relevo_authority_expiry_seconds"}
    assert days == {"r": 9 * 86400.0}
    # A repository host that is also a node has one certificate.
    seen = status(repository={"host": "a", "certificate_days": 300.0})
    found = judged(seen=seen).metrics
    assert len([one for one in found if one.name == "relevo_certificate_expiry_seconds"]) == 2


def test_a_limit_of_zero_is_not_looked_at() -> None:
    limits = Limits(backup_age=0, full_age=0, archive_lag=0, drill_age=0, certificate_days=0)
    old = facts(made("1F", "full", 9000), drilled(9000))
    assert failures(judged(old, {}, limits)) == {}


def test_limits_come_as_text_or_numbers() -> None:
    given = limits_of({"backup_age": "3600", "rto": 5, "drill_required": "true"})
    assert given == replace(Limits(), backup_age=3600.0, rto=5.0, drill_required=True)
    with pytest.raises(RelevoError, match="The limit rpo is 'soon', which is not a number"):
        limits_of({"rpo": "soon"})


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "on", "1", "y", 1])
def test_what_ansible_takes_for_true_is_true(value: Any) -> None:
    assert limits_of({"drill_required": value}).drill_required is True


@pytest.mark.parametrize("value", [False, "false", "no", "off", "0", "n", 0])
def test_what_ansible_takes_for_false_is_false(value: Any) -> None:
    assert limits_of({"drill_required": value}).drill_required is False


def test_what_is_no_boolean_is_refused() -> None:
    with pytest.raises(RelevoError, match="The limit drill_required is 'perhaps', which is not a boolean"):
        limits_of({"drill_required": "perhaps"})


def test_prometheus_reads_every_metric() -> None:
    seen = status(repository={"host": "r", "authority": of(9)})
    report = judged(facts(FULL, drilled(), holes=[HOLE]), seen).as_dict()
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


def test_a_cluster_whose_repository_host_does_not_answer_is_not_trusted_and_hides_no_other() -> None:
    (west,) = catalog_reports({}, [], {}, {"west": "The repository host far does not answer."})
    assert (west["cluster"], west["trusted"]) == ("west", False)
    assert west["text"] == "Backups of west: NEED ATTENTION.\n! repository: The repository host far does not answer."
    assert {"name": "relevo_check_failed", "value": 1.0, "labels": {"check": "repository"}} in west["metrics"]
