"""Restoring beside the cluster, restore points, drills: on real backups, real WAL, and faults planted in both."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import by_hand
import pytest
from by_hand import REPO
from cluster import (
    FAILBACK,
    FAILOVER,
    PGDATA,
    PRIMARY,
    REPOSITORY,
    ROOT,
    STANDBY,
    STATUS,
    Play,
    archive_all,
    at_once,
    first_segment,
    killed_play,
    labels,
    leave_the_first_timeline,
    play,
    psql,
    records,
    shell,
    timeline_of,
    wait_until,
)
from restores import RESTORE, SCRATCH, now, port_of, scratch_instances

POINT, DRILL, CLEANUP, CATALOG, CHECK = (
    f"playbooks/{name}.yml" for name in ("restore_point", "drill", "cleanup", "catalog", "catalog_check")
)


@pytest.fixture
def ledger(backed_up: None) -> Iterator[None]:
    psql(PRIMARY, "CREATE TABLE IF NOT EXISTS ledger (id int PRIMARY KEY)")
    yield
    psql(PRIMARY, "DROP TABLE IF EXISTS ledger")
    for name in scratch_instances():
        play(RESTORE, "-e", f"remove={name}")


def add(number: int) -> str:
    """Add a row, and return its transaction."""
    return psql(PRIMARY, f"INSERT INTO ledger VALUES ({number}) RETURNING pg_current_xact_id()").splitlines()[0]


def position() -> str:
    return psql(PRIMARY, "SELECT pg_current_wal_insert_lsn()")


def rows(port: str, host: str = REPOSITORY) -> set[int]:
    said = shell(host, "psql", "-p", port, "-d", "imdb", "-XAtc", "SELECT id FROM ledger", user="postgres")
    return {int(line) for line in said.split()}


def plan(name: str, *arguments: str) -> dict[str, list[str]]:
    output = play(name, *arguments, "-e", "plan=json").output
    found: dict[str, list[str]] = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    return found


def test_a_dropped_table_is_found_beside_the_cluster(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    psql(PRIMARY, "DROP TABLE ledger")
    archive_all()
    assert "restore-beside" in play(RESTORE, "-e", f"target={before}", "-e", "plan=json").output
    assert scratch_instances() == []
    done = play(RESTORE, "-e", f"target={before}")
    port = port_of(done)
    assert rows(port) == {1}
    assert "on timeline 1" in done.text
    assert "copied in" in done.text
    # It accepts writes, and the cluster does not notice.
    shell(REPOSITORY, "psql", "-p", port, "-d", "imdb", "-Xc", "INSERT INTO ledger VALUES (9)", user="postgres")
    assert psql(PRIMARY, "SELECT to_regclass('ledger')") == ""
    assert psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots") == "1"
    [name] = scratch_instances()
    # With the space that it takes, by which one remembers to remove it.
    line = (
        rf"Scratch instance {name} on {REPOSITORY}: running, port {port}, ([\d.]+) MiB \(restore.yml -e remove={name}"
    )
    shown = re.search(line, play(STATUS).text)
    assert shown
    used = shell(REPOSITORY, "du", "-sm", f"{SCRATCH}/{name}").split()[0]
    assert abs(float(shown[1]) - int(used)) <= 0.2 * int(used)
    again = play(RESTORE, "-e", f"target={before}")
    assert again.changed == 0
    assert rows(port) == {1, 9}
    assert "remove" in plan(RESTORE, "-e", f"remove={name}")["action"]
    assert "Plan of restore" in play(RESTORE, "-e", f"remove={name}", "--check").text
    assert scratch_instances() == [name]
    assert "Removed the scratch instance" in play(RESTORE, "-e", f"remove={name}").text
    assert scratch_instances() == []


def refusals_of(rows: dict[tuple[str, ...], str]) -> None:
    """Each is refused in such words."""
    plans = at_once(lambda given: plan(RESTORE, *(part for one in given for part in ("-e", one))), rows)
    found = dict(zip(rows, (one["refusals"] for one in plans), strict=True))
    wrong = {given: found[given] for given, words in rows.items() if not any(words in one for one in found[given])}
    assert wrong == {}


def test_what_cannot_be_reached_is_refused_before_anything_is_touched(backed_up: None) -> None:
    archive_all()
    # Nothing is archived after it but what is written.
    after_all = now()
    refusals_of(
        {
            (): "No target was given",
            ("target=2026-11-25",): "Ansible cut it off at the space",
            ("target=2999-01-01T00:00:00Z",): "is in the future",
            ("target=2020-01-01T00:00:00Z",): "is before the first consistent point",
            ("target=2026-11-25T12:00:00Z", "target_type=latest"): "Two targets were given: target_type=latest",
            ("target=2026-11-25T12:00:00",): "2026-11-25T12:00:00 has no time zone",
            ("target=2026-11-25T12:00:00CET",): 'has the time zone "CET", which is not known, or means several',
            ("target=never_made", "target_type=name"): "No backup knows a restore point never_made",
            (f"target={after_all}",): "or take the end of the archive: -e target_type=latest goes there",
            # A file system of 64 MB that every container has.
            ("target_type=latest", "restore_directory=/dev/tried"): "MiB free below /dev/tried",
        }
    )
    assert "Nothing was touched" in play(RESTORE, expect=2).text
    assert scratch_instances() == []


def test_what_the_repository_does_not_have_once_is_refused(backed_up: None) -> None:
    """With a hole on the way nothing behind it is a target, and a name that two backups know is not one."""
    if len(labels()) < 2:
        by_hand.backup("incr")
    older, newer = labels()[-2:]
    made = ("0/3000028 1 2026-11-25T10:00:00Z", "0/5000028 1 2026-11-25T11:00:00Z")
    try:
        for label, value in zip((older, newer), made, strict=True):
            by_hand.annotate(label, relevo_point_twice=value)
        with by_hand.hole() as lost:
            refusals_of(
                {
                    ("target_type=latest",): f"has a hole on the way there: 1 segments from {lost} to {lost}",
                    ("target_type=name", "target=twice"): "There are 2 restore points twice: 0/3000028 on timeline 1",
                }
            )
    finally:
        for label in (older, newer):
            by_hand.annotate(label, relevo_point_twice="")
    # They were what was in the way.
    assert plan(RESTORE, "-e", "target_type=latest")["refusals"] == []
    assert scratch_instances() == []


def test_a_restore_point_is_a_target(ledger: None) -> None:
    add(1)
    made = play(POINT, "-e", "point=before_release", "-e", "restore_point_timeout=60")
    assert "It is archived" in made.text
    add(2)
    archive_all()
    assert rows(port_of(play(RESTORE, "-e", "target_type=name", "-e", "target=before_release"))) == {1}
    again = play(POINT, "-e", "point=before_release", expect=2)
    assert "There is a restore point before_release already" in again.text


CHECKS = {
    "drill_checks": [
        {"database": "imdb", "query": "SELECT count(*) FROM ledger", "expect": 1, "name": "rows of the ledger"},
    ],
    "drill_database": "imdb",
    "drill_tables": ["public.ledger"],
}


def test_a_drill_proves_a_backup_and_its_result_is_kept(ledger: None, tmp_path: Path) -> None:
    add(1)
    done = play(DRILL, "-e", json.dumps(CHECKS))
    newest = labels()[-1]
    assert f"the backup {newest} restores" in done.text
    assert scratch_instances() == []
    [record] = [one for one in records() if one["etiqueta"] == newest]
    assert record["resultado"] == "correcto"
    assert float(record["rto_s"]) > 0
    assert "rpo_s" in record
    # What is expected and is not there is found, and said in the catalog.
    add(2)
    # Here it has a row, and nowhere else: as a table that came back with fewer rows than it had.
    psql(PRIMARY, "CREATE VIEW only_here AS SELECT 1 WHERE current_setting('archive_mode') <> 'off'")
    counted = {"drill_tables": ["public.ledger", "public.only_here"]}
    try:
        red = play(DRILL, "-e", json.dumps(CHECKS | counted), expect=2)
    finally:
        psql(PRIMARY, "DROP VIEW only_here")
    assert "rows of the ledger in imdb: 2, expected 1" in red.text
    assert "public.only_here in imdb has 0 rows, and the primary had 1 then." in red.text
    assert "public.ledger in imdb has" not in red.text
    [record] = [one for one in records() if one["etiqueta"] == newest]
    assert record["resultado"] == "fallido"
    assert "expected 1" in record["motivo"]
    # Whichever view somebody looks at says so; json has it as a field, above.
    page = tmp_path / "backups.html"
    views = ("table", "detail", "info", "size", "html")
    said = at_once(lambda view: play(CATALOG, "-e", f"view={view}", "-e", f"output={page}").output, views)
    told = {**dict(zip(views, said, strict=True)), "html": page.read_text()}
    assert [
        view for view, text in told.items() if f"NO RESTAURA (probado {record['verificado'][:10]})" not in text
    ] == []
    assert "rows of the ledger in imdb: 2, expected 1" in told["detail"]
    assert "rows of the ledger in imdb: 2, expected 1" in told["html"]


def from_the_repository_host(user: str, database: str, sql: str) -> str:
    """What its user postgres hears of the primary, with the passwords that it has; and psql's status."""
    whom = f"host={PRIMARY} user={user} dbname={database} sslmode=require connect_timeout=5"
    asked = f'PGPASSFILE=/etc/relevo/pgpass psql -w "{whom}" -XAtc "{sql}" 2>&1; echo "status $?"'
    return shell(REPOSITORY, "sh", "-c", asked, user="postgres")


def test_the_repository_host_writes_nothing_on_the_primary(backed_up: None) -> None:
    """Whoever restores there gets no way to the primary: tables travel over the primary's own socket."""
    # It may look, so it is not a lack of a connection that keeps the others out.
    assert from_the_repository_host("relevo_monitor", "relevo", "SELECT 1").split() == ["1", "status", "0"]
    assert "status 0" not in from_the_repository_host("relevo_monitor", "relevo", "CREATE TABLE written (n int)")
    for user in ("postgres", "root", "imdb", "relevo_monitor", "relevo_handover", "relevo_rewind"):
        for database in ("imdb", "postgres"):
            said = from_the_repository_host(user, database, "CREATE TABLE written (n int)")
            # psql's word for a connection that there is not.
            assert "status 2" in said, (user, database, said)


@pytest.mark.long
def test_a_scratch_instance_has_no_way_to_production(ledger: None) -> None:
    """Neither subscriptions nor preloaded libraries of the cluster begin to work there, and it archives nothing."""
    add(1)
    # Nobody is at that address; the primary tries it all the time.
    subscribed = "CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = 'beside')"
    try:
        psql(PRIMARY, f"CREATE SUBSCRIPTION beside {subscribed}")
        psql(PRIMARY, "ALTER SUBSCRIPTION beside ENABLE")
        psql(PRIMARY, "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'")
        label = by_hand.backup("incr")
        add(2)
        archive_all()
        assert "auto_explain" in shell(PRIMARY, "cat", f"{PGDATA}/postgresql.auto.conf")
        done = play(RESTORE, "-e", "target_type=latest")
        port = port_of(done)
        assert f"Backup {label};" in done.text
        assert rows(port) == {1, 2}
        assert psql_scratch(port, "SELECT subenabled FROM pg_subscription") == "t"
        workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'"
        assert psql(PRIMARY, workers) != "0"
        assert psql_scratch(port, workers) == "0"
        shown = {name: psql_scratch(port, f"SHOW {name}") for name in APART}
        assert shown == APART
        psql_scratch(port, "INSERT INTO ledger VALUES (9)")
        psql_scratch(port, "SELECT pg_switch_wal()")
        psql_scratch(port, "CHECKPOINT")
        # Nothing of its timeline is there, nor was it ever tried.
        written = psql_scratch(port, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")
        archive = shell(REPOSITORY, "find", f"{REPO}/archive/main", "-name", f"{written}*").split()
        assert int(written, 16) > timeline_of(PRIMARY)
        assert archive == []
        assert psql_scratch(port, "SELECT archived_count + failed_count FROM pg_stat_archiver") == "0"
        assert psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots") == "1"
    finally:
        psql(PRIMARY, "ALTER SYSTEM RESET shared_preload_libraries")
        if psql(PRIMARY, "SELECT count(*) FROM pg_subscription") != "0":
            psql(PRIMARY, "ALTER SUBSCRIPTION beside DISABLE")
            psql(PRIMARY, "ALTER SUBSCRIPTION beside SET (slot_name = NONE)")
            psql(PRIMARY, "DROP SUBSCRIPTION beside")


#: What keeps a scratch instance apart from the cluster.
APART = {
    "archive_mode": "off",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "shared_preload_libraries": "",
    "listen_addresses": "",
}


@contextlib.contextmanager
def writing(table: str) -> Iterator[None]:
    """Somebody's transaction that has written to the table, and does not end."""
    sql = f"BEGIN; INSERT INTO {table} VALUES (900); SELECT pg_sleep(900)"
    shell(PRIMARY, "sh", "-c", f"psql -U root -d imdb -Xc '{sql}' >/dev/null 2>&1 &")
    others = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(900)%' AND pid <> pg_backend_pid()"
    wait_until(lambda: psql(PRIMARY, f"SELECT backend_xid IS NOT NULL {others}") == "t", "the writer", 20)
    try:
        yield
    finally:
        psql(PRIMARY, f"SELECT pg_terminate_backend(pid) {others}")


@pytest.mark.long
def test_a_drill_counts_on_a_primary_that_is_never_quiet(ledger: None) -> None:
    """Behind a lock of an instant; where a writer of these tables never ends it goes on without, and says so."""
    add(1)
    psql(PRIMARY, "CREATE TABLE busy (n int)")
    try:
        with writing("busy"):
            done = play(DRILL, "-e", json.dumps(CHECKS))
        assert f"the backup {labels()[-1]} restores" in done.text
        assert "were not counted" not in done.text
        assert "rows of the ledger" not in done.text
        with writing("ledger"):
            assert "The rows of public.ledger were not counted" in play(DRILL, "-e", json.dumps(CHECKS)).text
        [record] = [one for one in records() if one["etiqueta"] == labels()[-1]]
        assert record["resultado"] == "correcto"
        assert "were not counted" in record["motivo"]
    finally:
        psql(PRIMARY, "DROP TABLE busy")


@pytest.mark.long
def test_every_kind_of_target_gives_its_rows(ledger: None) -> None:
    add(1)
    transaction = add(2)
    reached = position()
    add(3)
    archive_all()
    kinds = {
        ("xid", transaction): {1, 2},
        # With the record that begins there, which is the insert; its commit comes later.
        ("lsn", reached): {1, 2},
        ("latest", ""): {1, 2, 3},
    }
    for (kind, target), expected in kinds.items():
        wanted = ["-e", f"target_type={kind}", *(["-e", f"target={target}"] if target else [])]
        found = rows(port_of(play(RESTORE, *wanted)))
        assert found == expected, kind
    immediate = port_of(play(RESTORE, "-e", "target_type=immediate"))
    assert psql_scratch(immediate, "SELECT count(*) FROM pg_database WHERE datname = 'imdb'") == "1"
    # All of them side by side.
    assert len(scratch_instances()) == 4


def psql_scratch(port: str, sql: str, host: str = REPOSITORY) -> str:
    return shell(host, "psql", "-p", port, "-d", "imdb", "-XAtc", sql, user="postgres").strip()


@pytest.mark.long
def test_the_past_is_on_the_timeline_of_then(ledger: None) -> None:
    add(1)
    before = now()
    add(2)
    play(FAILOVER)
    psql(STANDBY, "INSERT INTO ledger VALUES (3)")
    play(FAILBACK)
    add(4)
    archive_all()
    assert rows(port_of(play(RESTORE, "-e", f"target={before}"))) == {1}
    assert rows(port_of(play(RESTORE, "-e", "target_type=latest"))) == {1, 2, 3, 4}


@pytest.mark.long
def test_its_settings_are_those_that_were_asked_for(ledger: None) -> None:
    add(1)
    archive_all()
    other = f"{REPO}/scratch"
    options = {
        "to": "beside",
        "target_type": "latest",
        "scratch": "mine",
        "read_only": True,
        "restore_preload_libraries": "auto_explain",
        "restore_process_max": 1,
        "restore_timeout": 600,
        "restore_directory": other,
    }
    port = port_of(play(RESTORE, "-e", json.dumps(options)))
    assert psql_scratch(port, "SHOW default_transaction_read_only") == "on"
    assert psql_scratch(port, "SHOW shared_preload_libraries") == "auto_explain"
    assert scratch_instances(other) == ["mine"]
    assert "process-max=1" in shell(REPOSITORY, "cat", f"{other}/mine/pgbackrest.conf")
    play(RESTORE, "-e", "remove=mine", "-e", f"restore_directory={other}")
    # On another host.
    elsewhere = play(RESTORE, "-e", "target_type=latest", "-e", f"restore_host={STANDBY}", "-e", "timeline=0")
    assert rows(port_of(elsewhere), STANDBY) == {1}
    assert f"Scratch instance main_latest on {STANDBY}: running, port {port_of(elsewhere)}" in play(STATUS).text
    play(RESTORE, "-e", "remove=main_latest", "-e", f"restore_host={STANDBY}")
    assert "Scratch instance" not in play(STATUS).text


@pytest.mark.long
def test_a_container_is_not_replaced_with_a_scratch_instance_in_it(ledger: None) -> None:
    add(1)
    archive_all()
    port = port_of(play(RESTORE, "-e", "target_type=latest"))
    other = ("-e", "docker_nodes_recreate=true", "-e", "docker_nodes_log_max_files=4")
    refused = play("site.yml", *other, expect=2)
    assert f"The scratch instance main_latest of main is in the container of {REPOSITORY}" in refused.text
    assert refused.changed == 0
    assert rows(port) == {1}
    play("site.yml", *other, "-e", "docker_nodes_lose_scratch=true")
    assert scratch_instances() == []
    play("site.yml", "-e", "docker_nodes_recreate=true")
    assert play("site.yml").changed == 0


@pytest.mark.long
def test_a_restore_that_was_killed_is_run_again(ledger: None) -> None:
    add(1)
    archive_all()
    killed_play(RESTORE, "Restore, and wait until the target is reached", "-e", "target_type=latest")
    assert rows(port_of(play(RESTORE, "-e", "target_type=latest"))) == {1}
    # It is whole, and somebody's.
    assert "restore.yml -e remove=main_latest removes it" in play(STATUS).text
    assert "scratch-left-behind" not in play(STATUS, "-e", "format=json").output


@pytest.mark.long
def test_a_backup_that_another_host_reads_stays_until_it_is_restored_or_gone(ledger: None) -> None:
    add(1)
    archive_all()
    there = ["-e", f"restore_host={STANDBY}"]
    killed_play(RESTORE, "Restore, and wait until the target is reached", "-e", "target_type=latest", *there)
    refused = play(CLEANUP, "-e", "operation=all", "-e", "confirm=main", expect=2)
    assert f"is read by the scratch instance main_latest on {STANDBY}" in refused.text
    # Killed before it began, or where that container was made anew: nothing is there but the note.
    assert f"Scratch instance main_latest on {STANDBY}: gone" in play(STATUS).text
    assert "scratch-left-behind" in play(STATUS, "-e", "format=json").output
    play(RESTORE, "-e", "remove=main_latest", *there)
    assert "is read by" not in play(CLEANUP, "-e", "operation=all", "-e", "plan=text").text
    assert "Scratch instance" not in play(STATUS).text


@pytest.mark.long
def test_a_drill_that_was_killed_leaves_nothing(ledger: None) -> None:
    add(1)
    killed_play(DRILL, "Restore the backup, look at it, remove it")
    options = {"drill_last": 1, "drill_nice": 5, "drill_process_max": 2, "drill_timeout": 900, "backup": "random"}
    loaded = {"database": "imdb", "query": "SHOW shared_preload_libraries", "expect": "auto_explain"}
    options |= {"drill_preload_libraries": "auto_explain", "drill_checks": [*CHECKS["drill_checks"], loaded]}
    play(DRILL, "-e", json.dumps({**CHECKS, **options}))
    assert scratch_instances() == []


@pytest.mark.long
def test_a_drill_on_another_host(ledger: None) -> None:
    add(1)
    options = ["-e", f"backup={labels()[-1]}", "-e", "drill_directory=/var/lib/postgresql/tried"]
    play(DRILL, "-e", f"drill_host={STANDBY}", *options)
    assert shell(STANDBY, "ls", "/var/lib/postgresql/tried").split() == []


def largest() -> str:
    """The largest file of the newest full backup: with bundles, one of them."""
    home = f"{REPO}/backup/main/{labels()[-1].split('_')[0]}"
    found = shell(REPOSITORY, "find", home, "-type", "f", "!", "-name", "backup.manifest*", "-printf", "%s %p\n")
    return max((line.split() for line in found.splitlines()), key=lambda one: int(one[0]))[1]


def newest_history() -> str:
    return max(shell(REPOSITORY, "find", f"{REPO}/archive/main", "-name", "*.history*").split())


def first_of_newest() -> str:
    """The segment in which the newest backup begins."""
    start = first_segment(labels()[-1])
    return next(one for one in by_hand.archived_files() if start in one)


FAULTS = {
    "a hole": lambda: ["rm", by_hand.archived_files()[-2]],
    "a truncated segment": lambda: ["truncate", "-s", "100", by_hand.archived_files()[-2]],
    "a truncated last segment": lambda: ["truncate", "-s", "100", by_hand.archived_files()[-1]],
    "an archive that expired too early": lambda: ["rm", first_of_newest()],
    "a missing history": lambda: ["rm", newest_history()],
    "a missing file": lambda: ["rm", largest()],
    "a flipped byte": lambda: ["sh", "-c", f"printf XXXXX | dd of={largest()} bs=1 seek=20000 conv=notrunc 2>&1"],
    "a missing manifest": lambda: ["sh", "-c", f"rm {REPO}/backup/main/{labels()[-1]}/backup.manifest*"],
    "a chain without its base": lambda: ["rm", "-r", f"{REPO}/backup/main/{labels()[-1].split('_')[0]}"],
}


#: What the check of a catalog says of those that can be seen in a list of files; the others take a look inside.
SEEN = {
    "a hole": "archive-hole",
    "an archive that expired too early": "archive-hole",
    "a missing history": "window",
    "a missing manifest": "chain",
    "a chain without its base": "chain",
}
#: The table of docs/explanation/planted-faults.md as the last run has it, and all that verify said.
PLANTED = ROOT / ".cache" / "planted-faults.md"
HEAD = "| fault | `drill.yml` | `catalog_check.yml` | `pgbackrest verify` |\n|---|---|---|---|"


@dataclass
class Planted:
    """What each planted fault is found by."""

    rows: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def found(self, fault: str, drill: str) -> set[str]:
        """Look at a repository with a fault, of which a drill has said that; the codes of the check."""
        output = play(CHECK, "-e", "format=json", expect=None).output
        report = json.loads(output[output.index("\n{") : output.index("\n}") + 2])
        # It tells of the drill, too, which is no finding of its own.
        codes = [one["code"] for one in report["checks"] if not one["ok"] and one["code"] != "drill"]
        verify = "pgbackrest --stanza=main verify --output=text --verbose"
        said = shell(REPOSITORY, "sh", "-c", f'{verify} 2>&1; echo "status $?"', user="postgres")
        *lines, status = said.strip().splitlines()
        # The others count what is in order.
        bad = re.compile(r"ERROR|WARN|^status: |(?:missing|invalid|mismatch|other)[^:]*: [1-9]")
        words = "; ".join(line.strip() for line in lines if bad.search(line)).replace("|", "/")[:300]
        self.rows.append(f"| {fault} | {drill} | {', '.join(codes) or 'nothing'} | {status}: {words or 'nothing'} |")
        self.outputs.append(f"## {fault}\n\n```\n{said}```")
        return set(codes)

    @property
    def text(self) -> str:
        return "\n".join([HEAD, *self.rows, "", *self.outputs, ""])


@pytest.fixture(scope="module")
def planted() -> Iterator[Planted]:
    found = Planted()
    yield found
    if found.rows:
        PLANTED.parent.mkdir(exist_ok=True)
        PLANTED.write_text(found.text)
        print(found.text)


def finding(drill: Play) -> str:
    """Why a backup does not pass, in the drill's words."""
    found = re.search(r"does not pass: (.*?) Take a full backup now", drill.text)
    assert found, drill.output[-3000:]
    return found[1].replace("|", "/")[:300]


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_a_drill_finds_a_planted_fault(ledger: None, planted: Planted, fault: str) -> None:
    leave_the_first_timeline()
    add(1)
    play("backup.yml", "-e", "day=1", "-e", "backup_force=true")
    play("backup.yml", "-e", "day=2", "-e", "backup_force=true")
    for number in (2, 3, 4):
        add(number)
        archive_all()
    saved = f"{Path(REPO).parent}/saved"
    shell(REPOSITORY, "cp", "-a", REPO, saved)
    try:
        shell(REPOSITORY, *FAULTS[fault](), user="postgres")
        codes = planted.found(fault, finding(play(DRILL, expect=2)))
        assert SEEN.get(fault) in (None, *codes)
    finally:
        shell(REPOSITORY, "sh", "-c", f"cp -a {saved}/backup {saved}/archive {REPO}/ && rm -r {saved}")
    assert scratch_instances() == []
    # It was the fault: without it, the same backup passes.
    assert f"the backup {labels()[-1]} restores" in play(DRILL).text


@pytest.mark.long
def test_a_drill_finds_a_page_with_a_wrong_checksum(ledger: None, planted: Planted) -> None:
    psql(PRIMARY, "CREATE TABLE spoiled AS SELECT generate_series(1, 5000) AS id")
    page = psql(PRIMARY, "SELECT pg_relation_filepath('spoiled')")
    written = psql(PRIMARY, "SELECT pg_current_wal_lsn()")
    wait_until(lambda: psql(STANDBY, f"SELECT pg_last_wal_replay_lsn() >= '{written}'") == "t", "the standby", 30)
    # Files of a backup are read from either.
    for node in (PRIMARY, STANDBY):
        psql(node, "CHECKPOINT")
        spoil = f"printf XXXXX | dd of={PGDATA}/{page} bs=1 seek=12000 conv=notrunc 2>&1"
        shell(node, "sh", "-c", spoil, user="postgres")
    play("backup.yml", "-e", "day=1", "-e", "backup_force=true", expect=None)
    found = finding(play(DRILL, expect=2))
    assert "pgBackRest found pages with a wrong checksum when the backup was taken" in found
    assert "pg_amcheck found" in found
    assert "page-errors" in planted.found("a page with a wrong checksum", found)
    psql(PRIMARY, "DROP TABLE spoiled")
    play("backup.yml", "-e", "day=1", "-e", "backup_force=true")
    assert f"the backup {labels()[-1]} restores" in play(DRILL).text


@pytest.mark.long
def test_a_drill_without_room_blames_no_backup(ledger: None, planted: Planted) -> None:
    add(1)
    archive_all()
    # A file system of 64 MB that every container has.
    refused = play(DRILL, "-e", "drill_directory=/dev/tried", expect=2).text
    assert "Make room there" in refused
    assert "does not pass" not in refused
    assert shell(REPOSITORY, "find", "/dev", "-name", "tried") == ""
    planted.found("a full scratch disk", "refused before it begins, and no backup is blamed: Make room there")
