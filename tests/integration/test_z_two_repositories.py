"""A second repository, a directory or a bucket of a real S3 server over TLS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster import (
    FAILBACK,
    FAILOVER,
    NETWORK,
    PGDATA,
    PRIMARY,
    REDIS,
    REPOSITORY,
    SECRETS,
    STANDBY,
    STATUS,
    Play,
    archive_all,
    docker,
    killed_play,
    nothing_needs_attention,
    play,
    psql,
    records,
    shell,
    switch,
    timeline_of,
    wait_until,
)
from restores import IN_PLACE, RESTORE, add, new_ledger, now
from s3_server import SECRET, S3Server

pytestmark = [pytest.mark.usefixtures("backed_up"), pytest.mark.long]

CONFIG = "/etc/pgbackrest"
DIRECTORY = "/var/lib/postgresql/second"
PASS_PHRASE = "another-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.stop()


@pytest.fixture
def store(unharmed: bool, server: S3Server) -> S3Server:
    """After a test that failed the network is a new one, too."""
    server.serve(NETWORK)
    return server


@pytest.fixture
def settings(store: S3Server) -> dict[str, Any]:
    return store.settings(pgbackrest_repo2_cipher_pass=PASS_PHRASE, pgbackrest_repo2_retention_full=3)


def site(settings: dict[str, Any], *arguments: str, expect: int = 0) -> Play:
    done = play("site.yml", "-e", json.dumps(settings), *arguments, expect=expect)
    for secret in (SECRET, PASS_PHRASE):
        # What was given on the command line is not what is meant.
        assert secret not in done.output
    return done


def started(node: str) -> str:
    return psql(node, "SELECT pg_postmaster_start_time()")


def archived(segment: str, repository: int) -> bool:
    """Whether a repository has a segment, as pgBackRest on the repository host sees it."""
    path = f"archive/main/{archive_id()}/{segment[:16]}"
    command = ["pgbackrest", "--stanza=main", f"--repo={repository}", "repo-ls", path]
    return segment in shell(REPOSITORY, *command, user="postgres")


def archive_id() -> str:
    return shell(REPOSITORY, "ls", "/var/lib/pgbackrest/archive/main").split()[0]


def wait_for(segment: str, *repositories: int) -> None:
    for number in repositories:
        # As long as a backup waits: with one away a segment may have to wait for several attempts of half a minute.
        wait_until(partial(archived, segment, number), f"{segment} in repository {number}", 240)


def modes(node: str) -> dict[str, str]:
    listed = shell(node, "sh", "-c", f"stat -c '%n %a %U' {CONFIG}/*").splitlines()
    return {Path(name).name: f"{mode} {owner}" for name, mode, owner in map(str.split, listed)}


def test_a_bucket_joins_a_running_cluster(store: S3Server, settings: dict[str, Any]) -> None:
    before, known = [started(node) for node in (PRIMARY, STANDBY)], in_first()
    done = site(settings, "--diff", "-v")
    assert done.changed > 0
    assert [started(node) for node in (PRIMARY, STANDBY)] == before
    assert site(settings).changed == 0
    # What tells where the bucket is, is on the repository host alone; and only the server's user reads it there.
    assert modes(REPOSITORY) == {
        "pgbackrest.conf": "600 postgres",
        "repo1.conf": "600 postgres",
        "repo2.conf": "600 postgres",
        "repo2-ca.crt": "640 postgres",
    }
    assert modes(PRIMARY) == dict.fromkeys(("pgbackrest.conf", "repo1.conf", "repo2.conf"), "640 postgres")
    assert "s3" not in shell(PRIMARY, "sh", "-c", f"cat {CONFIG}/*.conf")

    wait_for(switch(), 1, 2)
    assert (store.bucket / "archive" / "main" / "archive.info").exists()
    # It is encrypted, and the first one as it was.
    assert (store.bucket / "archive" / "main" / "archive.info").read_bytes().startswith(b"Salted__")
    nothing_needs_attention()
    assert in_first() == known


def backups(repository: int) -> list[dict[str, Any]]:
    """The backups of a repository, oldest first, as pgBackRest lists them to whoever asks by hand."""
    command = ["pgbackrest", "--stanza=main", f"--repo={repository}", "--output=json", "info"]
    return list(json.loads(shell(REPOSITORY, *command, user="postgres"))[0]["backup"])


def in_first() -> list[str]:
    """The labels of the first one alone: pgBackRest lists those of both to whoever does not say which."""
    return [one["label"] for one in backups(1)]


def days(repository: int) -> list[str]:
    return [one["annotation"]["relevo-day"] for one in backups(repository) if "relevo-day" in one.get("annotation", {})]


@pytest.fixture
def joined(backed_up: None, store: S3Server, settings: dict[str, Any]) -> None:
    """The bucket is the second one; also after a test that failed, which costs the cluster."""
    if "repo2.conf" not in modes(REPOSITORY):
        store.empty()
        site(settings)


@pytest.fixture
def filled(joined: None) -> None:
    """There is a backup in the bucket."""
    if not backups(2):
        play("backup.yml", "-e", "repository_number=2", "-e", "day=1")


def test_backups_go_to_each_by_its_own_history(joined: None) -> None:
    before = days(1)
    planned = play("backup.yml", "-e", "plan=text", "-e", "backup_force=true").text
    assert "In repository 1: Day" in planned
    assert "In repository 2: Day 1 of the cycle: the repository had no backup of the cycle." in planned
    done = play("backup.yml", "-e", "backup_force=true").text
    assert days(2) == ["1"]
    assert "In repository 2: Day 1 of the cycle" in done
    assert len(days(1)) > len(before)
    # One of them alone, by a cycle of its own.
    cycle = {"backup_cycle_repo2_days": {1: ["full"], 2: ["diff"]}, "backup_cycle_repo2_retention_full": 4}
    known = in_first()
    play("backup.yml", "-e", "repository_number=2", "-e", "backup_force=true", "-e", json.dumps(cycle))
    assert [one["type"] for one in backups(2)] == ["full", "diff"]
    assert in_first() == known
    play("backup.yml", "-e", "repository_number=1", "-e", "backup_force=true")
    assert len(backups(2)) == 2
    refused = play("backup.yml", "-e", "repository_number=3", expect=2).text
    assert "There is no repository 3. Nothing was touched. Choose one of 1, 2" in refused


def test_the_catalog_names_the_repository(filled: None) -> None:
    first, second = (records("-e", f"repository_number={number}") for number in (1, 2))
    assert [one["etiqueta"] for one in first] == in_first()
    assert all("repositorio" not in one for one in first)
    assert [one["etiqueta"] for one in second] == [one["label"] for one in backups(2)]
    assert {one["repositorio"] for one in second} == {"2"}
    assert second[0]["direccion_almacenamiento"] == f"s3://relevo-backups/backup/main/{second[0]['etiqueta']}"
    shown = play("playbooks/catalog.yml", "-e", "catalog_language=en").text
    assert "BACKUPS RECORDED IN REDIS · repository 2" in shown
    for view in ("info", "size", "detail"):
        chosen = ("-e", "repository_number=2", "-e", f"view={view}")
        assert second[0]["etiqueta"] in play("playbooks/catalog.yml", *chosen).text
    # A program gets one document of both.
    assert {one["clave"] for one in records()} == {one["clave"] for one in (*first, *second)}


def test_each_is_thinned_out_for_itself(filled: None) -> None:
    play("backup.yml", "-e", "repository_number=2", "-e", "day=1")
    known, second = in_first(), [one["label"] for one in backups(2)]
    assert len(second) > 1
    keep = ("playbooks/cleanup.yml", "-e", "repository_number=2", "-e", "operation=keep", "-e", "keep=1")
    # Confirmed is the cluster's name, which is the same for both.
    assert "In repository 2: keep the newest" in play(*keep, "-e", "plan=text").text
    assert "main in repository 2: " in play(*keep).text
    assert [one["label"] for one in backups(2)] == second[-1:]
    assert in_first() == known
    assert [one["etiqueta"] for one in records("-e", "repository_number=2")] == second[-1:]


def archive(repository: int) -> set[str]:
    """The segments and histories of the newest timelines that a repository has."""
    command = [
        "pgbackrest",
        "--stanza=main",
        f"--repo={repository}",
        "repo-ls",
        "--recurse",
        f"archive/main/{archive_id()}",
    ]
    names = [path.rpartition("/")[2] for path in shell(REPOSITORY, *command, user="postgres").split()]
    found = {name.partition("-")[0] for name in names if not name.endswith(".backup")}
    return {name for name in found if len(name) == 24 or name.endswith(".history")}


def left_behind() -> set[str]:
    """What the first repository has of the timeline that the last restore left, from there on: the way back."""
    history = shell(PRIMARY, "cat", f"{PGDATA}/pg_wal/{timeline_of(PRIMARY):08X}.history", user="postgres")
    parent, end = history.strip().splitlines()[-1].split("\t")[:2]
    high, low = (int(part, 16) for part in end.split("/"))
    from_there = f"{int(parent):08X}{high:08X}{low >> 24:08X}"
    return {name for name in archive(1) if name.startswith(from_there[:8]) and name >= from_there}


def its_gap_is_filled(settings: dict[str, Any], missed: set[str]) -> None:
    """The second one gets all that came while it was away, proven from its own listing."""
    assert missed, "nothing came while it was away"
    # What the primary has, it archives by itself; what came before a hand-over is copied from the other one.
    site(settings)
    wait_until(lambda: missed <= archive(2), f"{sorted(missed - archive(2))} in repository 2", 120)
    wait_for(switch(), 1, 2)
    nothing_needs_attention()


def codes() -> list[str]:
    output = play(STATUS, "-e", "format=json").output
    found = re.search(r"^\{\n.*?^\}", output, re.MULTILINE | re.DOTALL)
    assert found, output
    return [problem["code"] for problem in json.loads(found[0])["problems"]]


def test_one_that_is_away_blocks_nothing(store: S3Server, settings: dict[str, Any], filled: None) -> None:
    before = archive(1)
    with store.away():
        wait_for(switch(), 1)
        assert codes() == ["repository-away"]
        said = play(STATUS, "-e", "require=healthy", expect=2).text
        assert "Repository 2 is away, and the primary keeps all WAL that it lacks" in said
        judged = play("playbooks/catalog_check.yml", expect=2).text
        assert "Repository 2 is away." in judged

        known = in_first()
        failed = play("backup.yml", "-e", "day=2", expect=2).text
        assert "No backup of main in repository 2 (" in failed
        assert "The other repository got its own." in failed
        assert len(in_first()) == len(known) + 1

        refused = site(settings, expect=2)
        assert "All else is done, and the other repository works." in refused.text
        play("playbooks/restore_point.yml", "-e", "point=while_it_was_away")
        assert "Repository 2 is away" in play(FAILOVER).text
        assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "f"
        assert "Repository 2 is away" in play(FAILBACK).text
        wait_for(switch(), 1)
        assert codes() == ["repository-away"]
        missed = archive(1) - before
        assert not missed & archive_of(store)
    its_gap_is_filled(settings, missed)
    assert site(settings).changed == 0


def points(repository: int) -> set[str]:
    """The restore points that the newest backup of a repository knows."""
    return {name for name in backups(repository)[-1].get("annotation", {}) if name.startswith("relevo-point-")}


def test_a_restore_point_is_found_in_each(store: S3Server, settings: dict[str, Any], filled: None) -> None:
    psql(PRIMARY, "CREATE TABLE pointed AS SELECT 7 AS answer")
    play("playbooks/restore_point.yml", "-e", "point=in_both")
    psql(PRIMARY, "DROP TABLE pointed")
    assert all("relevo-point-in_both" in points(number) for number in (1, 2))
    wait_for(switch(), 1, 2)
    named = ("-e", "target_type=name", "-e", "target=in_both", "-e", "database=imdb", "-e", "tables=public.pointed")
    play(RESTORE, *named, "-e", "repository_number=2", "-e", "into=pointed_then")
    assert psql(PRIMARY, "SELECT answer FROM pointed_then.pointed") == "7"
    psql(PRIMARY, "DROP SCHEMA pointed_then CASCADE")

    before = archive(1)
    with store.away():
        said = play("playbooks/restore_point.yml", "-e", "point=in_one").text
        assert "Repository 2 is away, and does not know its name" in said
        missed = archive(1) - before
    assert "relevo-point-in_one" in points(1)
    assert "relevo-point-in_one" not in points(2)
    its_gap_is_filled(settings, missed)


def test_each_is_judged_for_itself(filled: None) -> None:
    """An off-site repository that nobody backs up to is not made good by the first one."""
    check = "playbooks/catalog_check.yml"
    play("backup.yml", "-e", "day=1")
    said = play(check).text
    assert "repository 2: window, backup-age, full-age, chain, archive-hole, catalog: within their limits" in said
    newest = backups(2)[-1]["label"]
    old = play(check, "-e", "catalog_check_repo2_max_backup_age=1", expect=2).text
    assert f"In repository 2: The newest backup, {newest}, is " in old
    assert f"backup-age: The newest backup, {in_first()[-1]}, is " in old
    full = play(check, "-e", "catalog_check_repo2_max_full_age=1", expect=2).text
    assert "In repository 2: The newest full backup, " in full
    measured = play(check, "-e", "format=prometheus").output
    assert re.search(
        r'relevo_backup_age_seconds\{cluster="main",(type="any",repository="2"|repository="2",type="any")\}', measured
    )


def archive_of(store: S3Server) -> set[str]:
    """What is in the bucket, seen without its server."""
    return {path.name.partition("-")[0] for path in (store.bucket / "archive").rglob("*") if path.is_file()}


def test_an_emergency_does_not_wait_for_it(store: S3Server, settings: dict[str, Any], filled: None) -> None:
    before = archive(1)
    with store.away():
        switch()
        docker("kill", "-s", "KILL", PRIMARY)
        assert "Repository 2 is away" in play(FAILOVER).text
        assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "f"
        docker("start", PRIMARY)
        play(FAILBACK)
        wait_for(switch(), 1)
        missed = archive(1) - before
    its_gap_is_filled(settings, missed)


def test_one_that_hangs_makes_a_hand_over_neither_fail_nor_long(
    store: S3Server, settings: dict[str, Any], filled: None
) -> None:
    before = archive(1)
    with store.hanging():
        switch()
        done = play(FAILOVER)
        assert "Repository 2 is away" in done.text
        outage = re.search(r"write outage (\d+\.\d+) s", done.text)
        assert outage, done.text
        assert float(outage[1]) < 5
        missed = archive(1) - before
    play(FAILBACK)
    its_gap_is_filled(settings, missed)


def test_everything_is_removed_from_the_one_while_the_other_hangs(
    store: S3Server, settings: dict[str, Any], filled: None
) -> None:
    """A server that pushes holds the lock that the removal wants, nearly all the time."""
    kept = [one["label"] for one in backups(2)]
    with store.hanging():
        switch()
        play("playbooks/cleanup.yml", "-e", "operation=all", "-e", "confirm=main")
        assert in_first() == []
        # The servers archive again.
        wait_for(switch(), 1)
    play("backup.yml", "-e", "repository_number=1", "-e", "day=1")
    assert [one["label"] for one in backups(2)] == kept
    wait_for(switch(), 1, 2)
    nothing_needs_attention()


def restored_fulls(repository: int) -> list[str]:
    return [one["label"] for one in backups(repository) if "relevo-restore" in one.get("annotation", {})]


def pinned(repository: int) -> list[str]:
    return [one["label"] for one in backups(repository) if one.get("annotation", {}).get("relevo-pinned")]


@pytest.mark.timeout(3600)
def test_a_restore_in_place_ends_with_a_full_backup_in_each(
    store: S3Server, settings: dict[str, Any], filled: None
) -> None:
    new_ledger()
    add(1)
    before = now()
    add(2)
    archive_all()
    known = {number: len(restored_fulls(number)) for number in (1, 2)}
    present = {number: backups(number)[-1]["label"] for number in (1, 2)}
    command = (*IN_PLACE, "-e", f"target={before}")
    assert f"Repository 2 keeps the backup {present[2]} for it" in play(RESTORE, *command, "-e", "plan=text").text
    # Those that were made before the controller was killed are not made again.
    killed_play(RESTORE, "Bring the catalog up to the repository", *command)
    # The full backup of now would let retention have the way back.
    assert all(present[number] in pinned(number) for number in (1, 2))
    assert [len(restored_fulls(number)) - known[number] for number in (1, 2)] == [1, 1]
    said = play(RESTORE, *command).text
    assert psql(PRIMARY, "SELECT id FROM ledger") == "1"
    assert [len(restored_fulls(number)) - known[number] for number in (1, 2)] == [1, 1]
    assert f"full backup {restored_fulls(1)[-1]} in repository 1 and {restored_fulls(2)[-1]} in repository 2" in said
    assert backups(2)[-1]["label"] == restored_fulls(2)[-1]
    nothing_needs_attention()

    # One that is away is named, and in the way of nothing.
    before_all = archive(1)
    add(3)
    moment = now()
    add(4)
    archive_all()
    with store.away():
        # Each wait for an archive takes minutes then; the cluster is down for less than one of them.
        said = play(RESTORE, *IN_PLACE, "-e", f"target={moment}", limit=1700).text
        assert "Repository 2 got no full backup: " in said
        assert "backup.yml -e repository_number=2 -e day=1" in said
        assert len(restored_fulls(1)) == known[1] + 2
        missed = archive(1) - before_all
        # Of what was left behind only the first one has what came while the other was away.
        behind = left_behind()
        assert behind & missed
        missed -= behind
    its_gap_is_filled(settings, missed)
    play("backup.yml", "-e", "repository_number=2", "-e", "day=1")
    assert len(restored_fulls(2)) == known[2] + 1
    nothing_needs_attention()


@pytest.mark.timeout(3600)
def test_a_moment_while_it_was_away_is_found_on_the_timeline_of_then(
    store: S3Server, settings: dict[str, Any], filled: None
) -> None:
    """Taken back meanwhile, the cluster has two pasts; what the second one has of it has the time of the copying."""
    psql(PRIMARY, "CREATE TABLE pasts AS SELECT 1 AS number")
    play("backup.yml", "-e", "day=1")
    goal = now()
    psql(PRIMARY, "INSERT INTO pasts VALUES (2)")
    wait_for(switch(), 1, 2)
    with store.away():
        play(RESTORE, *IN_PLACE, "-e", f"target={goal}", limit=1700)
        psql(PRIMARY, "INSERT INTO pasts VALUES (3)")
        later = now()
        psql(PRIMARY, "INSERT INTO pasts VALUES (4)")
        last = switch()
        wait_for(last, 1)
    site(settings)
    wait_for(last, 2)
    timeline = int(last[:8], 16)
    planned = play(RESTORE, "-e", f"target={later}", "-e", "repository_number=2", "-e", "plan=text").text
    assert f"Recovery follows timeline {timeline}." in planned
    tables = ("-e", "database=imdb", "-e", "tables=public.pasts", "-e", "into=pasts_then")
    play(RESTORE, "-e", f"target={later}", "-e", "repository_number=2", *tables)
    assert psql(PRIMARY, "SELECT string_agg(number::text, ' ' ORDER BY number) FROM pasts_then.pasts") == "1 3"
    psql(PRIMARY, "DROP SCHEMA pasts_then CASCADE; DROP TABLE pasts")
    nothing_needs_attention()


@pytest.fixture
def first_gone(filled: None) -> Iterator[None]:
    """As if the first one's disk were no more."""
    shell(REPOSITORY, "sh", "-c", "cd /var/lib/pgbackrest && mkdir .gone && mv archive backup .gone/")
    yield
    shell(REPOSITORY, "sh", "-c", "cd /var/lib/pgbackrest && rm -rf archive backup && mv .gone/* . && rmdir .gone")


def test_what_is_lost_in_the_first_is_restored_and_proved_from_the_second_alone(first_gone: None) -> None:
    refused = play(RESTORE, "-e", "to=cluster", "-e", "target_type=latest", "-e", "repository_number=2", expect=2).text
    assert "-e to=cluster restores out of the first repository only" in refused
    assert "repository-away" in codes()
    # What is measured is the one that answers.
    judged = play("playbooks/catalog_check.yml", expect=2).text
    assert "Repository 1 is away." in judged
    refused = play(RESTORE, "-e", "target_type=latest", "-e", "scratch=lost", expect=2).text
    assert "The repository has no stanza main" in refused

    psql(PRIMARY, "CREATE TABLE kept AS SELECT 42 AS answer")
    segment = switch()
    wait_for_bucket(segment)
    done = play(RESTORE, "-e", "target_type=latest", "-e", "scratch=mine", "-e", "repository_number=2")
    port = re.search(r"psql -p (\d+)", done.text)
    assert port, done.output
    asked = ["psql", "-p", port[1], "-d", "imdb", "-XAtc", "SELECT answer FROM kept"]
    assert shell(REPOSITORY, *asked, user="postgres").strip() == "42"
    play(RESTORE, "-e", "remove=mine")

    assert " restores." in play("playbooks/drill.yml", "-e", "repository_number=2").text
    [*_, newest] = records("-e", "repository_number=2")
    assert newest["resultado"] == "correcto"
    a_dropped_table_comes_back()


def a_dropped_table_comes_back() -> None:
    """The rows of the second repository's archive: the first one has none, so its ``pg_scratch`` would fail."""
    psql(PRIMARY, "INSERT INTO kept SELECT generate_series(1, 499)")
    before = now()
    psql(PRIMARY, "DROP TABLE kept")
    wait_for_bucket(switch())
    tables = ("-e", f"target={before}", "-e", "database=imdb", "-e", "tables=public.kept", "-e", "into=came_back")
    play(RESTORE, *tables, "-e", "repository_number=2")
    assert psql(PRIMARY, "SELECT count(*), max(answer) FROM came_back.kept") == "500|499"
    psql(PRIMARY, "DROP SCHEMA came_back CASCADE")


def wait_for_bucket(segment: str) -> None:
    """With the first one gone its listing tells nothing of the archive's name either."""
    command = ["pgbackrest", "--stanza=main", "--repo=2", "repo-ls", "--recurse", "archive/main"]
    wait_until(lambda: segment in shell(REPOSITORY, *command, user="postgres"), f"{segment} in the bucket", 90)


def test_when_the_first_is_back_it_gets_what_it_lacks(settings: dict[str, Any], filled: None) -> None:
    wait_for(switch(), 1, 2)
    assert site(settings).changed == 0
    nothing_needs_attention()


def test_its_pass_phrase_cannot_be_changed(settings: dict[str, Any], filled: None) -> None:
    before = shell(REPOSITORY, "cat", f"{CONFIG}/pgbackrest.conf")
    refused = site(settings | {"pgbackrest_repo2_cipher_pass": f"{PASS_PHRASE}-2"}, expect=2)
    assert "cannot be opened with another pass phrase" in refused.text
    assert "Take the change out of pgbackrest_repo2_cipher_pass" in refused.text
    assert shell(REPOSITORY, "cat", f"{CONFIG}/pgbackrest.conf") == before
    wait_for(switch(), 1, 2)


def test_a_wrong_key_is_told_when_all_else_is_done(settings: dict[str, Any], filled: None) -> None:
    refused = site(settings | {"pgbackrest_repo2_s3_key_secret": "wrong"}, expect=2)
    assert "Of the cluster main repository 2 does not work" in refused.text
    assert "All else is done, and the other repository works." in refused.text
    segment = switch()
    wait_for(segment, 1)
    site(settings)
    wait_for(segment, 2)


def test_the_server_is_not_trusted_without_its_authority(settings: dict[str, Any], filled: None) -> None:
    refused = site(settings | {"pgbackrest_repo2_s3_ca": ""}, expect=2)
    assert "repository 2 does not work" in refused.text
    assert "repo2-ca.crt" not in modes(REPOSITORY)
    # As somebody does who trusts the network more than he should.
    site(settings | {"pgbackrest_repo2_s3_ca": "", "pgbackrest_repo2_s3_verify": False})
    wait_for(switch(), 1, 2)
    site(settings)


def index_of_the_second() -> str:
    """How many indexes the catalog has of it."""
    password = (SECRETS / "redis").read_text().strip()
    ask = ["env", f"REDISCLI_AUTH={password}", "redis-cli", "exists", "relevo:backups:main@2"]
    return shell(REDIS, *ask).strip()


def test_without_the_second_one_all_is_as_before(filled: None) -> None:
    assert index_of_the_second() == "1"
    assert site({}).changed > 0
    assert index_of_the_second() == "0"
    for node in (REPOSITORY, PRIMARY, STANDBY):
        assert modes(node) == {"pgbackrest.conf": "640 postgres"}
    assert site({}).changed == 0
    segment = switch()
    wait_until(lambda: archived(segment, 1), f"{segment} to be archived", 60)


def volumes_of(node: str) -> list[str]:
    mounts = json.loads(docker("inspect", "-f", "{{json .Mounts}}", node))
    return sorted(str(mount["Name"]) for mount in mounts)


def test_a_directory() -> None:
    directory: dict[str, Any] = {
        "pgbackrest_repo2_type": "posix",
        "pgbackrest_repo2_path": DIRECTORY,
        # The volume: what is asked of a machine is asked here, too.
        "pgbackrest_repo2_mount": DIRECTORY,
        "pgbackrest_repo2_push_timeout": 4,
    }
    lies_in_it = {"pgbackrest_repo2_path": "/var/lib/pgbackrest/two", "pgbackrest_repo2_mount": ""}
    refused = site(directory | lies_in_it, expect=2)
    assert "lie in one another" in refused.text
    before = created(REPOSITORY), modes(REPOSITORY)
    refused = site(directory | {"pgbackrest_repo2_mount": "/var/lib/postgresql"}, expect=2)
    assert "pgbackrest_repo2_mount=/var/lib/postgresql is for machines" in refused.text
    refused = site(directory, expect=2)
    assert f"has no volume for pgbackrest_repo2_path={DIRECTORY}" in refused.text
    assert (created(REPOSITORY), modes(REPOSITORY)) == before
    servers = [created(node) for node in (PRIMARY, STANDBY)]
    recreate = ("-e", "docker_nodes_recreate=true")
    assert site(directory, *recreate).changed > 0
    assert volumes_of(REPOSITORY) == [f"{REPOSITORY}_data", f"{REPOSITORY}_etc", f"{REPOSITORY}_second"]
    assert created(REPOSITORY) != before[0]
    assert [created(node) for node in (PRIMARY, STANDBY)] == servers
    assert site(directory).changed == 0
    assert "io-timeout=4" in shell(PRIMARY, "cat", f"{CONFIG}/pgbackrest.conf")
    wait_for(switch(), 1, 2)
    play("backup.yml", "-e", "day=1")
    nothing_needs_attention()
    assert shell(REPOSITORY, "ls", f"{DIRECTORY}/archive").split() == ["main"]
    # It outlives its container.
    kept = [one["label"] for one in backups(2)]
    docker("rm", "-f", REPOSITORY)
    site(directory)
    assert [one["label"] for one in backups(2)] == kept
    wait_for(switch(), 1, 2)

    assert site({}, *recreate).changed > 0
    assert volumes_of(REPOSITORY) == [f"{REPOSITORY}_data", f"{REPOSITORY}_etc"]
    docker("volume", "rm", f"{REPOSITORY}_second")
    assert site({}).changed == 0
    play("backup.yml", "-e", "day=2")
    nothing_needs_attention()


def created(node: str) -> str:
    """When its container was made."""
    return docker("inspect", "-f", "{{.Created}}", node).strip()
