"""What a cleanup removes and spares, on a real repository, and how it is asked for."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import select
import statistics
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import by_hand
import pytest
from cluster import (
    DEFAULT_VERSION,
    PRIMARY,
    REDIS,
    REDIS_PORT,
    REPOSITORY,
    ROOT,
    SECRETS,
    archive_all,
    at_once,
    command_line,
    controller_environment,
    first_segment,
    killed_play,
    labels,
    leave_the_first_timeline,
    nothing_needs_attention,
    play,
    psql,
    records,
    repository_backups,
    shell,
    timeline_of,
    wait_until,
)
from prometheus_client.parser import text_string_to_metric_families
from restores import check_mode_differs

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.filters import Filters
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page import read_page
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import desired_records, newest_first
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.store import (
    connected,
    read_records,
    synchronise,
)

CLEANUP, CATALOG, CHECK = (f"playbooks/{name}.yml" for name in ("cleanup", "catalog", "catalog_check"))
#: Of a scratch instance that is being restored .
SCRATCH = "/var/lib/postgresql/scratch/past"


def redis(*command: str) -> str:
    password = (SECRETS / "redis").read_text().strip()
    return shell(REDIS, "env", f"REDISCLI_AUTH={password}", "redis-cli", *command).strip()


def two_chains() -> tuple[list[str], list[str]]:
    """Two full backups, each with an incremental one, and nothing else."""
    cleaned = play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    assert "The stanza is empty and archives." in cleaned.text
    return [by_hand.backup("full"), by_hand.backup("incr")], [by_hand.backup("full"), by_hand.backup("incr")]


def an_orphan() -> None:
    """A record, as the former scripts wrote them, of a backup that is not there."""
    old = {
        "fecha": "2020-01-01",
        "hora": "00:00:00",
        "tipo_backup": "completo",
        "direccion_almacenamiento": "/var/lib/pgbackrest/backup/main/20200101-000000F",
        "maestro_usado": "postgres_master",
        "metodo": "pgBackRest",
        "stanza": "main",
    }
    redis("hset", "backup:2020-01-01_00-00-00", *(part for pair in old.items() for part in pair))


def plan_of(*arguments: str) -> dict[str, Any]:
    output = play(CLEANUP, *arguments, "-e", "plan=json").output
    found: dict[str, Any] = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    return found


def archived() -> list[str]:
    found = shell(REPOSITORY, "pgbackrest", "--stanza=main", "repo-ls", "--recurse", "archive/main", user="postgres")
    return sorted(set(re.findall(r"[0-9A-F]{24}(?=-)", found)))


def test_thinning_out_spares_what_is_pinned_and_all_leaves_a_stanza_that_works() -> None:
    # Only a promotion archives the history of a timeline, and after "all" there is none.
    leave_the_first_timeline()
    old, new = two_chains()

    shown = play(CLEANUP).text
    assert "nothing is removed by looking" in shown
    assert "-e operation=keep -e keep=2" in shown
    assert labels() == [*old, *new]

    # The pinned backup keeps its base, and all WAL since.
    assert (
        "stays until the end of 2199-12-31" in play(CLEANUP, "-e", f"pin={old[1]}", "-e", "pin_until=2199-12-31").text
    )
    before = archived()
    planned = plan_of("-e", "operation=keep", "-e", "keep=1")
    assert [one["name"] for one in planned["affects"] if one["change"].startswith("stays")] == old
    kept = play(CLEANUP, "-e", "operation=keep", "-e", "keep=1")
    assert f"{old[0]} stays: it is pinned until 2199-12-31" in kept.text
    assert labels() == [*old, *new]
    # backup.yml, too, with a retention that would take it.
    play("backup.yml", "-e", "day=1", "-e", "pgbackrest_retention_full=1")
    assert labels()[:4] == [*old, *new]
    # What is older than the first full backup may go.
    assert {one for one in before if one >= first_segment(old[0])} <= set(archived())
    refused = play(CLEANUP, "-e", "operation=all", "-e", "confirm=main", expect=2)
    assert f"{old[1]} is pinned until 2199-12-31" in refused.text
    assert labels()[:4] == [*old, *new]

    play(CLEANUP, "-e", f"pin={old[1]}", "-e", "pin_until=now")
    done = play(CLEANUP, "-e", "operation=keep", "-e", "keep=1")
    [left] = labels()
    assert all(label in done.text for label in [*old, *new])
    assert [one["etiqueta"] for one in records()] == [left]
    assert min(archived()) > max(before)

    refused = play(CLEANUP, "-e", "operation=all", "-e", "confirm=other", expect=2)
    assert "confirm=other is not its name" in refused.text
    assert labels() == [left]
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    assert labels() == []
    assert records() == []
    made = play("backup.yml", "-e", "backup_force=true")
    assert "Day 1 of the cycle" in made.text
    [record] = records()
    assert record["tipo_backup"] == "completo"
    path = f"archive/main/{DEFAULT_VERSION}-1/{timeline_of(PRIMARY):08X}.history"
    assert shell(REPOSITORY, "pgbackrest", "--stanza=main", "repo-get", path, user="postgres").strip()
    nothing_needs_attention()


@pytest.mark.long
def test_retention_and_what_a_restore_or_a_scratch_instance_reads() -> None:
    old, new = two_chains()
    by_hand.backup("full")
    restoring = ["pgbackrest", "--stanza=main", f"--set={old[1]}", "restore"]
    # What the repository host sees of a restore is its command line.
    shell(
        REPOSITORY, "bash", "-c", f"(exec -a pgbackrest tail -f /dev/null {' '.join(restoring[1:])} &) >/dev/null 2>&1"
    )
    planned = plan_of("-e", "operation=retention")
    assert [one["name"] for one in planned["affects"] if "is read by a restore" in one["change"]] == old
    shell(REPOSITORY, "pkill", "-f", "tail -f /dev/null --stanza=main|pgbackrest -f /dev/null")

    shell(REPOSITORY, "mkdir", "-p", SCRATCH)
    shell(REPOSITORY, "bash", "-c", f"""echo '{{"cluster": "main", "backup": "{old[0]}"}}' > {SCRATCH}/instance.json""")
    assert play(CLEANUP, "-e", "operation=retention").changed == 1
    # The full one is read, what depends on it is not.
    assert labels()[:3] == [old[0], *new]
    shell(REPOSITORY, "rm", "-r", SCRATCH)
    play(CLEANUP, "-e", "operation=retention")
    assert labels()[:2] == new


@pytest.mark.long
def test_check_mode_shows_the_plan_and_removes_nothing() -> None:
    old, new = two_chains()
    by_hand.backup("full")
    an_orphan()
    operations = (
        ("-e", "operation=keep", "-e", "keep=1"),
        ("-e", "operation=retention"),
        ("-e", "operation=orphans"),
        ("-e", "operation=all", "-e", "confirm=main"),
        ("-e", f"pin={old[0]}", "-e", "pin_until=2199-12-31"),
    )
    found = (repository_backups(), records(), archived())
    for given in operations:
        assert plan_of(*given)["action"] != "none", given
        assert check_mode_differs(CLEANUP, *given) == [], given
    assert (repository_backups(), records(), archived()) == found
    assert labels()[:4] == [*old, *new]
    play(CLEANUP, "-e", "operation=orphans")


@pytest.mark.long
def test_orphans_go_and_what_is_not_recorded_gets_a_record(backed_up: None) -> None:
    label = by_hand.backup("incr")
    an_orphan()
    redis("set", "backup:foreign", "not ours")
    planned = plan_of("-e", "operation=orphans")
    assert "backup:2020-01-01_00-00-00" in [one["name"] for one in planned["affects"]]
    play(CLEANUP, "-e", "operation=orphans")
    assert redis("exists", "backup:2020-01-01_00-00-00", "backup:foreign") == "1"
    assert label in [one.get("etiqueta") for one in records()]
    again = plan_of("-e", "operation=orphans")
    assert again["action"] == "none"
    redis("del", "backup:foreign")


@pytest.mark.long
def test_a_killed_cleanup_is_finished_by_the_same_command() -> None:
    _old, new = two_chains()
    killed_play(CLEANUP, "Remove what is not kept", "-e", "operation=keep", "-e", "keep=1")
    play(CLEANUP, "-e", "operation=keep", "-e", "keep=1", "-e", "wait_for_lock=60")
    assert labels() == new
    assert [one["etiqueta"] for one in records()] == new

    killed_play(CLEANUP, "Remove what is not kept", "-e", "operation=all", "-e", "confirm=main")
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main", "-e", "wait_for_lock=60")
    assert labels() == []
    # As the repository host leaves it when it goes down in the middle: stopped, and without a stanza.
    shell(REPOSITORY, "pgbackrest", "--stanza=main", "stop", user="postgres")
    shell(REPOSITORY, "pgbackrest", "--stanza=main", "--force", "stanza-delete", user="postgres")
    assert "The repository has no stanza main" in play("backup.yml", expect=2).text
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    psql(PRIMARY, "SELECT pg_switch_wal()")
    # As stanza-delete leaves it when it is cut off: it removes the lists first.
    by_hand.backup("full")
    for kind in ("archive", "backup"):
        folder = f"/var/lib/pgbackrest/{kind}/main"
        shell(REPOSITORY, "rm", f"{folder}/{kind}.info", f"{folder}/{kind}.info.copy")
    refused = play(CLEANUP, "-e", "operation=orphans", expect=2).text
    assert "is not in order" in refused
    play(CLEANUP, "-e", "operation=all", "-e", "confirm=main")
    assert labels() == []
    psql(PRIMARY, "SELECT pg_switch_wal()")
    play("backup.yml", "-e", "backup_force=true")
    nothing_needs_attention()


def at_a_terminal(answers: list[tuple[str, str]]) -> str:
    """Run cleanup.yml at a terminal; each answer is typed when its question has been asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command_line(CLEANUP), cwd=ROOT, env=controller_environment(), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen, deadline, waiting = "", time.monotonic() + 300, list(answers)
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                seen += os.read(master, 65536).decode(errors="replace")
            except OSError:
                break
        elif process.poll() is not None:
            break
        if waiting and waiting[0][0] in seen:
            os.write(master, waiting.pop(0)[1].encode() + b"\r")
    os.close(master)
    process.wait(timeout=60)
    assert not waiting, f"was not asked for {waiting[0][0]}: {seen[-3000:]}"
    return seen


@pytest.mark.long
def test_a_terminal_gets_the_menu(backed_up: None) -> None:
    before = labels()
    seen = at_a_terminal([("Number or name", "2"), ("How many full backups should stay", "9")])
    assert "limpiar" not in seen
    assert "0 backups removed" in seen
    seen = at_a_terminal([("Number or name", "5"), ("Type main to remove all of it", "no")])
    assert "confirm=no is not its name" in " ".join(seen.split())
    assert labels() == before


# --- seeing ------------------------------------------------------------------------------------------------------


LABEL = r"(\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)"
#: How a view lists a backup; other lines name some, too: the oldest of the window, what the growth is since.
LISTED = {
    "table": rf"│ {LABEL} +[│║]",
    "detail": rf"(?m)^ +Etiqueta: +{LABEL}$",
    "info": rf"║ {LABEL} +│",
    "size": rf"║ {LABEL} +│",
    "json": rf'"etiqueta": "{LABEL}"',
    "html": rf"<b>{LABEL}</b>",
}


def listed(view: str, given: tuple[str, ...], folder: Path) -> set[str]:
    """The backups that a view shows of what filters take."""
    page = folder / f"{'_'.join([view, *given])}.html"
    output = play(CATALOG, *(part for one in (f"view={view}", f"output={page}", *given) for part in ("-e", one))).output
    return set(re.findall(LISTED[view], page.read_text() if view == "html" else output))


def filtered() -> dict[tuple[str, ...], set[str]]:
    """What each filter takes of the backups that are there: of each kind some, and others not."""
    old, new = labels()[-1], by_hand.backup("incr")
    by_hand.annotate(new, relevo_drill_at="2026-11-25T03:00:00+00:00", relevo_drill_result="passed")
    play(CLEANUP, "-e", "operation=orphans")
    there = {record["etiqueta"]: record for record in records()}
    moment = f"{there[new]['fecha']}T{there[new]['hora']}"

    def those(field: str, *values: str) -> set[str]:
        return {label for label, record in there.items() if record.get(field) in values}

    everything, tried = set(there), those("resultado", "correcto")
    taken: dict[tuple[str, ...], set[str]] = {
        ("type=incr",): those("tipo_backup", "incremental"),
        ("type=full",): those("tipo_backup", "completo"),
        (f"since={moment}",): {new},
        (f"before={moment}",): everything - {new},
        # Nobody has noted of a backup by hand from which primary it was taken.
        ("primary=desconocido",): those("maestro_usado", "desconocido"),
        (f"primary={PRIMARY}",): those("maestro_usado", PRIMARY),
        ("verified=true",): tried,
        ("verified=false",): everything - tried,
        ("limit=1",): {new},
        ("cluster=main",): everything,
        ("type=incr", f"since={moment}", "before=2100-01-01", "primary=desconocido", "verified=true", "limit=9"): {new},
        ("since=2100-01-01",): set(),
    }
    # None of them takes all by itself, and each something; but for the last three.
    assert all(found and found < everything for found in list(taken.values())[:-3]), taken
    assert old in taken["verified=false",]
    return taken


@pytest.fixture
def filters(backed_up: None) -> Iterator[dict[tuple[str, ...], set[str]]]:
    if not any(record["maestro_usado"] == PRIMARY for record in records()):
        play("backup.yml", "-e", "backup_force=true")
    yield filtered()
    # Others look whether there was a drill.
    by_hand.annotate(labels()[-1], relevo_drill_at="", relevo_drill_result="")


def wrong(asked: list[tuple[str, tuple[str, ...]]], taken: dict[tuple[str, ...], set[str]], folder: Path) -> list[str]:
    found = at_once(lambda one: listed(one[0], one[1], folder), asked)
    return [
        f"{view} {' '.join(given)}: {sorted(labels)}, not {sorted(taken[given])}"
        for (view, given), labels in zip(asked, found, strict=True)
        if labels != taken[given]
    ]


def test_each_filter_takes_what_it_says_in_some_view(filters: dict[tuple[str, ...], set[str]], tmp_path: Path) -> None:
    assert wrong(list(zip(itertools.cycle(LISTED), filters)), filters, tmp_path) == []


@pytest.mark.long
def test_each_filter_takes_the_same_in_every_view(filters: dict[tuple[str, ...], set[str]], tmp_path: Path) -> None:
    assert wrong(list(itertools.product(LISTED, filters)), filters, tmp_path) == []


def test_views_say_what_can_be_restored_and_become_a_page(backed_up: None, tmp_path: Path) -> None:
    said = play(CATALOG, "-e", "view=info", "-e", "catalog_language=en").text
    # A line for each timeline, where there are several.
    assert re.search(r"any moment since .* UTC until .* UTC|Timeline \d+: from .* UTC to .* UTC", said)
    assert "Growth:" in said
    assert "WHAT TAKES THE SPACE" in play(CATALOG, "-e", "view=size", "-e", "catalog_language=en").text

    file = tmp_path / "backups.html"
    play(CATALOG, "-e", "view=html", "-e", f"output={file}")
    text = file.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert all(label in text for label in labels())
    assert "needs a file to write to" in play(CATALOG, "-e", "view=html", expect=2).text


# --- trusting ----------------------------------------------------------------------------------------------------


def test_the_check_says_what_is_past_its_limit(backed_up: None, tmp_path: Path) -> None:
    play(CLEANUP, "-e", "operation=orphans")
    file = tmp_path / "relevo.prom"
    play(CHECK, "-e", "format=prometheus", "-e", f"output={file}")
    families = {family.name: family for family in text_string_to_metric_families(file.read_text())}
    assert families["relevo_archive_missing_segments"].samples[0].value == 0
    assert families["relevo_backup_age_seconds"].samples[0].value > 0
    assert "relevo_certificate_expiry_seconds" in families
    assert sum(one.value for one in families["relevo_check_failed"].samples) == 0

    limits = ["max_backup_age=1", "max_full_age=1", "min_certificate_days=99999", "drill_required=true"]
    output = play(
        CHECK, "-e", "format=json", *(part for one in limits for part in ("-e", f"catalog_check_{one}")), expect=2
    ).output
    report = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
    assert not report["trusted"]
    assert {one["code"] for one in report["checks"] if not one["ok"]} == {
        "backup-age",
        "full-age",
        "certificate",
        "authority",
        "drill",
    }


@pytest.mark.long
def test_the_limits_of_a_drill_and_of_the_archive_are_kept(backed_up: None) -> None:
    note = {"at": datetime.now(UTC).isoformat(), "result": "passed", "rto": "312", "rpo": "40"}
    annotations = [f"--annotation=relevo-drill-{key}={value}" for key, value in note.items()]
    label = labels()[-1]
    shell(REPOSITORY, "pgbackrest", "--stanza=main", f"--set={label}", *annotations, "annotate", user="postgres")
    limits = ["max_drill_age=1", "max_archive_lag=0"]
    said = play(CHECK, *(part for one in limits for part in ("-e", f"catalog_check_{one}")), expect=2).text
    assert "more than 1 s. Run drill.yml." in said
    # 0 says that nobody looks.
    assert "archive-lag" not in said
    limits = ["max_rto=300", "max_rpo=30"]
    said = play(CHECK, *(part for one in limits for part in ("-e", f"catalog_check_{one}")), expect=2).text
    assert "The last drill measured RTO 5 min 12 s, more than 5 min 00 s" in said
    assert "The last drill measured RPO 40 s, more than 30 s" in said
    # The next backup knows of it, too.
    assert f"The last drill, of {label}, passed" in play(CHECK).text
    play("backup.yml", "-e", "backup_force=true")
    shell(
        REPOSITORY,
        *("pgbackrest", "--stanza=main", f"--set={label}", "--annotation=relevo-drill-at=", "annotate"),
        user="postgres",
    )
    assert f"The last drill, of {label}, passed" in play(CHECK).text


@pytest.mark.long
def test_a_cleanup_ends_in_its_time_or_says_so(backed_up: None) -> None:
    refused = play(CLEANUP, "-e", "operation=retention", "-e", "cleanup_timeout=0.001", expect=2).text
    assert "did not end within 0.001 s" in refused
    play(CLEANUP, "-e", "operation=retention")


@pytest.mark.long
def test_the_check_finds_a_hole_and_a_catalog_that_is_out_of_step(backed_up: None) -> None:
    by_hand.backup("full")
    psql(PRIMARY, "CREATE TABLE IF NOT EXISTS noise (x int); INSERT INTO noise VALUES (1); SELECT pg_switch_wal()")
    psql(PRIMARY, "INSERT INTO noise VALUES (1); SELECT pg_switch_wal()")
    psql(PRIMARY, "INSERT INTO noise VALUES (1); SELECT pg_switch_wal()")
    by_hand.backup("incr")
    start = first_segment(labels()[-2])
    lost = next(one for one in archived() if one > start)
    path = shell(REPOSITORY, "find", "/var/lib/pgbackrest/archive/main", "-name", f"{lost}-*").strip()
    shell(REPOSITORY, "mv", path, "/tmp/lost")
    limits = ["-e", "catalog_check_max_records_orphaned=0", "-e", "catalog_check_max_records_missing=0"]
    said = play(CHECK, *limits, expect=2).text
    assert f"1 segment missing in the archive ({lost} to {lost})" in said
    assert "2 backups not recorded" in said
    shell(REPOSITORY, "mv", "/tmp/lost", path)
    play(CLEANUP, "-e", "operation=orphans")
    play(CHECK)


def complaints(*arguments: str) -> dict[str, str]:
    """What the check finds past its limit, by its code."""
    output = play(CHECK, "-e", "format=json", *arguments, expect=2).output
    report = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
    return {one["code"]: one["message"] for one in report["checks"] if not one["ok"]}


@pytest.mark.long
def test_the_check_finds_a_chain_without_its_files() -> None:
    old, _new = two_chains()
    play(CLEANUP, "-e", "operation=orphans")
    path = f"{by_hand.REPO}/backup/main/{old[0]}"
    shell(REPOSITORY, "mv", path, "/tmp/lost")
    try:
        # What is left of it is worth nothing either, and the other chain is what it was.
        found = complaints()
    finally:
        shell(REPOSITORY, "mv", "/tmp/lost", path)
    assert list(found) == ["chain"]
    assert found["chain"].startswith(f"{old[0]}, {old[1]} cannot be restored: files of it or of its base are missing.")
    play(CHECK)


@pytest.mark.long
def test_the_check_finds_an_archive_that_stands_still(backed_up: None) -> None:
    play(CLEANUP, "-e", "operation=orphans")

    def segment() -> str:
        psql(PRIMARY, "SELECT pg_logical_emit_message(true, 'test', 'more')")
        return psql(PRIMARY, "SELECT pg_walfile_name(pg_switch_wal())")

    def archiving_by(command: str) -> None:
        psql(PRIMARY, f"ALTER SYSTEM SET archive_command = '{command}'")
        psql(PRIMARY, "SELECT pg_reload_conf()")
        wait_until(lambda: psql(PRIMARY, "SHOW archive_command") == command, "the new command", 20)

    archive_all()
    try:
        # Nothing fails, and nothing is archived.
        archiving_by("")
        segment()
        segment()
        found = complaints("-e", "catalog_check_max_archive_lag=1")
        assert list(found) == ["archive-lag"]
        assert re.search(
            r"The archive is .* behind the primary, more than 1 s\. See archiving in", found["archive-lag"]
        )
        failures = "SELECT failed_count FROM pg_stat_archiver"
        before = int(psql(PRIMARY, failures))
        archiving_by("false")
        wait_until(lambda: int(psql(PRIMARY, failures)) > before, "the archiver to fail", 90)
        failed = psql(PRIMARY, "SELECT last_failed_wal FROM pg_stat_archiver")
        assert complaints() == {"archive-lag": f"Archiving fails at {failed}. status.yml says why."}
    finally:
        psql(PRIMARY, "ALTER SYSTEM RESET archive_command")
        psql(PRIMARY, "SELECT pg_reload_conf()")
    archive_all()
    play(CHECK)


# --- many --------------------------------------------------------------------------------------------------------


def many(count: int) -> dict[str, dict[str, str]]:
    """Records of backups that were taken every ten minutes."""
    backups, full = [], ""
    for number in range(count):
        moment = datetime(2020, 9, 13, tzinfo=UTC) + timedelta(minutes=10 * number)
        kind = "full" if number % 7 == 0 else "diff" if number % 7 == 3 else "incr"
        stamp = moment.strftime("%Y%m%d-%H%M%S")
        full = f"{stamp}F" if kind == "full" else full
        start = int(moment.timestamp())
        backups.append(
            {
                "label": full if kind == "full" else f"{full}_{stamp}{kind[0].upper()}",
                "type": kind,
                "prior": None if kind == "full" else full,
                "timestamp": {"start": start, "stop": start + 60},
                "info": {"size": 38807351, "repository": {"delta": 4644333}},
                "annotation": {"relevo-primary": f"node{number % 3}", "relevo-day": "1"},
            }
        )
    return desired_records(backups, "main", "/var/lib/pgbackrest")


def seconds_for_a_page(client: Any, filters: Filters, keys: list[str]) -> float:
    """Processor time: the machine may be busy with other things."""
    taken = []
    for _attempt in range(30):
        before = time.process_time()
        page = read_page(client, "main", filters, 50, keys)
        taken.append(time.process_time() - before)
        assert len(page.records) == 50
    return statistics.median(taken)


def test_a_page_of_many_records_takes_no_longer_and_indexes_come_back() -> None:
    password = (SECRETS / "redis").read_text().strip()
    where = {"host": "127.0.0.1", "port": REDIS_PORT, "password": password, "db": 9, "timeout": 60}
    filters = Filters.given(type="incr", primary="node1", since="2020-09-14")
    taken = []
    with connected(where) as client:
        for count in (1000, 20000):
            client.flushdb()
            desired = many(count)
            synchronise(client, "main", desired, True)
            taken.append(seconds_for_a_page(client, filters, list(desired)[-20:]))
        assert taken[1] < 2 * taken[0], taken

        page = read_page(client, "main", filters, 50)
        matching = [key for key in newest_first(desired) if filters.matches(key, desired[key])]
        assert page.matched == len(matching)
        assert list(page.records) == matching[:50]
        # Lost, and made anew: every field, and every index.
        before = {key: client.dump(key) for key in client.keys("relevo:*")}
        client.flushdb()
        synchronise(client, "main", desired, True)
        assert read_records(client, desired) == desired
        assert {key: client.dump(key) for key in client.keys("relevo:*")} == before
        # What has gone from the repository is gone from every index.
        synchronise(client, "main", dict(list(desired.items())[:10]), True)
        assert read_page(client, "main", Filters(), 0).matched == 10
        assert read_page(client, "main", filters, 0).matched == 0
        client.flushdb()


# --- how they are stored -----------------------------------------------------------------------------------------


def stored(label: str) -> int:
    text = shell(REPOSITORY, "du", "-sb", f"/var/lib/pgbackrest/backup/main/{label}")
    return int(text.split()[0])


@pytest.mark.long
def test_an_incremental_backup_after_one_page_in_a_hundred_is_small(backed_up: None) -> None:
    text = shell(REPOSITORY, "cat", "/etc/pgbackrest/pgbackrest.conf")
    for option in ("compress-type=zst", "repo1-bundle=y", "repo1-block=y", "backup-standby=prefer"):
        assert f"\n{option}\n" in text
    # A row a page, with room for its next version: 12800 pages that do not compress.
    psql(
        PRIMARY,
        "CREATE TABLE pages (id int, x text) WITH (fillfactor = 45); ALTER TABLE pages ALTER x SET STORAGE PLAIN; "
        "INSERT INTO pages SELECT i, (SELECT string_agg(md5(random()::text || i || g), '') "
        "FROM generate_series(1, 90) g) FROM generate_series(1, 12800) i",
    )
    psql(PRIMARY, "VACUUM pages")
    psql(PRIMARY, "CHECKPOINT")
    sizes = {}
    for option in ("--repo1-block", "--no-repo1-block"):
        for kind in ("full", "incr"):
            shell(
                REPOSITORY,
                *("pgbackrest", "--stanza=main", f"--type={kind}", option, "--repo1-retention-full=99", "backup"),
                user="postgres",
            )
            sizes[option, kind] = stored(labels()[-1])
            psql(PRIMARY, "UPDATE pages SET x = reverse(x) WHERE id % 100 = 7")
            psql(PRIMARY, "CHECKPOINT")
    psql(PRIMARY, "DROP TABLE pages")
    share = sizes["--repo1-block", "incr"] / sizes["--no-repo1-block", "incr"]
    print(f"incremental with block increments: {100 * share:.1f} % of one without; {sizes}")
    assert share < 0.15
