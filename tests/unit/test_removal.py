"""What the removal of a cluster removes: each row of the decision, and what is left of a cluster where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.removal import (
    Elsewhere,
    Facts,
    Holdings,
    Removal,
    Request,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.forget import delete_stanza, residue
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._server.removal import Machine, remove_paths

HELD = Holdings(["20261126-090000F", "20261126-100000F_20261126-110000I"], exists=True)
FACTS = Facts("shop", ["a", "b"], "repo", "redis", containers=["a", "b", "repo", "redis"], holdings=HELD)
EMPTY = replace(FACTS, holdings=Holdings(exists=True))
DELETE, KEEP = Request("delete", "shop"), Request("keep", "shop")
AWAY = {"repository": 2, "reason": "No route."}


def refused(request: Request, facts: Facts) -> str:
    return " ".join(removal(request, facts).plan.refusals)


def changes(found: Removal) -> dict[str, str]:
    return {effect.name: effect.change for effect in found.plan.affects}


def test_with_its_backups_all_of_it_goes() -> None:
    found = removal(DELETE, FACTS)
    assert (found.servers, found.hosts, found.stanza, found.rewrites) == (["a", "b"], ["repo", "redis"], True, False)
    assert found.plan.refusals == []
    assert list(changes(found)) == ["a", "b", *HELD.backups, "repo", "redis"]
    assert "its 2 backups, their archive and their records are deleted" in found.plan.message


def test_backups_that_are_kept_keep_their_hosts() -> None:
    found = removal(KEEP, FACTS)
    assert (found.hosts, found.stanza, found.rewrites, found.plan.refusals) == ([], False, False, [])
    assert changes(found)["repo"] == "stays, with the backups"
    assert changes(found)["redis"] == "stays, with their records"
    assert not set(HELD.backups) & set(changes(found))


@pytest.mark.parametrize("answer", ["", "none"])
def test_backups_are_never_deleted_unasked(answer: str) -> None:
    said = refused(Request(answer, "shop"), FACTS)
    assert "shop has 2 backups, the newest 20261126-100000F_20261126-110000I." in said
    assert "-e remove_backups=keep, or -e remove_backups=delete" in said


@pytest.mark.parametrize("answer", ["", "none", "keep", "delete"])
def test_without_a_backup_nobody_has_to_say(answer: str) -> None:
    assert refused(Request(answer, "shop"), EMPTY) == ""


def test_a_deletion_that_was_cut_off_is_finished_when_it_is_said_again() -> None:
    pieces = replace(FACTS, holdings=Holdings(pieces=True))
    assert "of which a deletion was cut off" in refused(Request("", "shop"), pieces)
    found = removal(DELETE, pieces)
    assert (found.stanza, found.plan.refusals) == (True, [])


@pytest.mark.parametrize("request_", [DELETE, KEEP])
def test_what_others_need_stays(request_: Request) -> None:
    shared = replace(FACTS, of_others={"repo": ["north", "south"], "redis": ["north"]})
    found = removal(request_, shared)
    assert (found.hosts, found.rewrites, found.stanza) == ([], True, request_ is DELETE)
    assert changes(found)["repo"] == "stays, since north and south need it"
    assert changes(found)["redis"] == "stays, since north needs it"


def test_a_repository_that_holds_strangers_stays() -> None:
    strange = replace(FACTS, holdings=replace(HELD, others=["old"]))
    found = removal(DELETE, strange)
    assert (found.hosts, found.stanza, found.rewrites) == (["redis"], True, False)
    assert changes(found)["repo"] == "stays, since it holds backups of old"


def test_a_machine_keeps_its_redis() -> None:
    found = removal(DELETE, replace(FACTS, containers=[]))
    assert found.hosts == ["repo"]
    assert changes(found)["redis"] == "stays, without the records: its packages stay"
    assert "its packages stay" in changes(found)["a"]


@pytest.mark.parametrize(
    ("request_", "changed", "said"),
    [
        (Request("burn", "shop"), {}, "remove_backups=burn is neither keep nor delete."),
        (Request("keep", ""), {}, "Confirm it with -e confirm=shop."),
        (Request("keep", "main"), {}, "confirm=main is not its name. Confirm it with -e confirm=shop."),
        (DELETE, {"of_others": {"a": ["north"]}}, "a is also needed by north."),
        (
            DELETE,
            {"repository": "b", "holdings": replace(HELD, others=["old"])},
            "b also holds the backups of old, and would be cleared. Move them first.",
        ),
        (
            DELETE,
            {"proxies": ["p"], "of_others": {"p": ["north"]}, "unreachable": {"p": "its container is stopped."}},
            "p does not answer (its container is stopped), and its HAProxy, which north also has, must forget shop. "
            "Start it.",
        ),
        (
            replace(KEEP, secrets=True),
            {},
            "The secrets also open the backups that are kept, so remove_secrets=true cannot be done. Leave it out.",
        ),
        (replace(DELETE, secrets=True), {"alone": False}, "also open the other clusters of the inventory, so"),
        (replace(DELETE, secrets=True), {"holdings": replace(HELD, others=["old"])}, "also open the backups of old,"),
        (KEEP, {"repository": "b"}, "b also holds the backups or their records, and would be cleared."),
        (DELETE, {"unreachable": {"a": "no route."}}, "a does not answer (no route), so what it has would be left."),
        (
            DELETE,
            {"holdings": None, "unreachable": {"repo": "its container is paused"}},
            "The repository host repo does not answer (its container is paused), so nobody knows its backups.",
        ),
        (Request("", "shop"), {"holdings": None, "missing": ["repo"]}, "its volume may hold backups. Say what"),
        (DELETE, {"holdings": replace(HELD, running="40%")}, "A backup is running (40%)."),
        (
            DELETE,
            {"holdings": replace(HELD, needed={HELD.backups[0]: "is pinned"}, second=[HELD.backups[0]])},
            f"-e pin={HELD.backups[0]} -e pin_until=now -e repository_number=2.",
        ),
        (
            DELETE,
            {"holdings": replace(HELD, away=[AWAY])},
            "Repository 2 of shop does not answer: No route. What it holds could not be deleted. Bring it back first,",
        ),
        (Request("", "shop"), {"holdings": Holdings(away=[AWAY])}, "It may hold backups. Say what becomes of them"),
        (KEEP, {"scratch": ["scratch"]}, "restore.yml -e cluster=shop -e remove=scratch."),
        (
            KEEP,
            {"elsewhere": [Elsewhere("reports", "shop_latest", "/notes/reports+shop_latest.json")]},
            "shop_latest on reports was restored beside the cluster. Remove it first: restore.yml -e cluster=shop "
            "-e remove=shop_latest -e restore_host=reports. If reports is gone for good, delete "
            "/notes/reports+shop_latest.json on repo.",
        ),
        (
            DELETE,
            {"holdings": replace(HELD, needed={HELD.backups[0]: "is pinned until 2026-12-31"})},
            "20261126-090000F is pinned until 2026-12-31. Wait for the end of that; a pin is taken off",
        ),
    ],
)
def test_what_is_refused(request_: Request, changed: dict[str, Any], said: str) -> None:
    assert said in refused(request_, replace(FACTS, **changed))


def test_what_is_pinned_does_not_keep_backups_from_being_kept() -> None:
    pinned = replace(FACTS, holdings=replace(HELD, needed={HELD.backups[0]: "is pinned"}))
    assert refused(KEEP, pinned) == ""


def test_a_repository_that_is_away_does_not_keep_backups_from_being_kept() -> None:
    assert refused(KEEP, replace(FACTS, holdings=replace(HELD, away=[AWAY]))) == ""


@pytest.mark.parametrize(
    ("request_", "changed", "said"),
    [
        (DELETE, {"holdings": None, "missing": ["repo"]}, True),
        (KEEP, {"holdings": None, "missing": ["repo"]}, False),
        # The repository host deletes it there.
        (DELETE, {}, False),
    ],
)
def test_what_a_bucket_has_is_named_where_nobody_can_delete_it(
    request_: Request, changed: dict[str, Any], said: bool
) -> None:
    risks = removal(request_, replace(FACTS, bucket="backups", **changed)).plan.risks
    assert ("What the bucket backups has of shop stays: without repo nobody deletes it there." in risks) is said
    assert len(removal(DELETE, replace(FACTS, holdings=None, missing=["repo"])).plan.risks) == 1


@pytest.mark.parametrize("answer", ["keep", "delete"])
def test_what_a_killed_removal_has_left_is_removed(answer: str) -> None:
    """The repository's container has gone already, and nobody can be asked any more."""
    left = replace(FACTS, holdings=None, missing=["a", "b", "repo"], unreachable={})
    found = removal(Request(answer, "shop"), left)
    assert found.plan.refusals == []
    # Otherwise the secrets would be taken for those of backups that are kept.
    assert found.stanza == (answer == "delete")
    assert "whatever that is" in found.plan.message
    assert found.hosts == ([] if answer == "keep" else ["repo", "redis"])


def test_only_the_logs_and_locks_of_the_stanza_are_its_residue(tmp_path: Path) -> None:
    logs, locks = tmp_path / "log", tmp_path / "lock"
    mine = ["shop-backup.log", "shop-archive-push-async.log"]
    for folder, names in ((logs, [*mine, "shop-two-backup.log", "shopping-backup.log"]), (locks, [])):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    for name in ("shop-backup-1.lock", "shop-archive.lock", "shop.stop", "shop-two-backup-1.lock", "all.stop"):
        (locks / name).touch()
    assert [path.name for path in residue("shop", logs, locks)] == [
        *("shop-archive.lock", "shop-backup-1.lock", "shop.stop"),
        *sorted(mine),
    ]
    assert residue("shop", tmp_path / "nowhere", locks / "nowhere") == []


#: Of two repositories.
PGBACKREST = ("pgbackrest.conf", "repo1.conf", "repo2-ca.crt", "repo2.conf")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a tablespace elsewhere, an adopted unit, and things of others."""
    made = [
        "var/lib/postgresql/17/main/pg_tblspc",
        "var/lib/postgresql/17/other",
        "var/lib/postgresql/relevo",
        "srv/fast/PG_17_202406281/5",
        "srv/fast/PG_16_202307071",
        "etc/relevo/tls",
        "etc/systemd/system/postgresql@17-main.service.d",
        "repo/backup",
    ]
    for path in made:
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "var/lib/postgresql/17/main/pg_tblspc/16400").symlink_to(tmp_path / "srv/fast")
    units = tmp_path / "etc/systemd/system"
    for name in ("relevo-postgresql.service", "postgresql@17-main.service.d/relevo.conf", "other.service"):
        (units / name).touch()
    return Machine(["postgres"], "17", root=tmp_path)


def relative(machine: Machine, paths: list[Path]) -> list[str]:
    return [str(path.relative_to(machine.root)) for path in paths]


@pytest.mark.parametrize(
    ("keeps", "units", "stays"),
    [
        (["redis"], ["relevo-pgbackrest.service", "relevo-postgresql.service"], ["run/relevo"]),
        (
            ["haproxy"],
            ["relevo-pgbackrest.service", "relevo-postgresql.service"],
            ["etc/relevo/haproxy.cfg", "etc/relevo/tls", "run/relevo"],
        ),
        (
            ["pgbackrest"],
            ["relevo-postgresql.service"],
            [*(f"etc/pgbackrest/{name}" for name in PGBACKREST), "etc/relevo/pgpass", "etc/relevo/tls", "run/relevo"],
        ),
    ],
)
def test_what_another_part_of_the_machine_needs_stays(
    machine: Machine, keeps: list[str], units: list[str], stays: list[str]
) -> None:
    root = machine.root
    names = ("postgresql.conf", "conf.d/90-replication.conf", "haproxy.cfg", "pgpass", "zone")
    files = [f"etc/relevo/{name}" for name in names]
    files += [*(f"etc/pgbackrest/{name}" for name in PGBACKREST), "run/relevo/operation-lock/shop.json"]
    files += [f"etc/systemd/system/relevo-{name}.service" for name in ("haproxy", "pgbackrest")]
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    there = replace(machine, keeps=keeps)
    assert sorted(path.name for path in there.units() if path.suffix == ".service") == units
    found = relative(there, there.paths())
    if "etc/relevo" not in found:
        # By it the machine knows that its server has not been cleared yet.
        assert found[-1] == "etc/relevo/postgresql.conf"
    remove_paths(there.paths())
    assert (there.paths(), there.configuration()) == ([], [])
    asked = ("etc/relevo", "etc/pgbackrest", "run")
    left = sorted(
        str(path.relative_to(root)) for one in asked if (root / one).is_dir() for path in (root / one).iterdir()
    )
    assert left == stays
    assert not machine.data.exists()


def test_wal_elsewhere_goes_and_its_directory_stays(machine: Machine) -> None:
    """An adopted server may have it on a disk of its own."""
    disk = machine.root / "mnt" / "wal"
    (disk / "archive_status").mkdir(parents=True)
    segments = ["000000010000000000000002", "000000010000000000000001.00000028.backup", "00000002.history"]
    for name in (*segments, "notes", "lost+found"):
        (disk / name).touch()
    (machine.data / "pg_wal").symlink_to(disk)
    assert {path.name for path in machine.wal()} == {*segments, "archive_status"}
    remove_paths(machine.paths())
    assert sorted(path.name for path in disk.iterdir()) == ["lost+found", "notes"]
    # Where it is part of the data, they go as a whole.
    (machine.data / "pg_wal").mkdir(parents=True)
    assert machine.wal() == []


def test_a_machine_knows_what_is_ours(machine: Machine) -> None:
    assert relative(machine, machine.units()) == [
        "etc/systemd/system/relevo-postgresql.service",
        "etc/systemd/system/postgresql@17-main.service.d/relevo.conf",
    ]
    assert relative(machine, machine.paths()) == [
        "var/lib/postgresql/relevo",
        # Before the data, which know of it.
        "srv/fast/PG_17_202406281",
        "var/lib/postgresql/17/main",
        "etc/relevo",
    ]


@pytest.mark.parametrize("keeps", [[], ["pgbackrest"]])
def test_what_was_archived_is_believed_by_no_later_server(machine: Machine, keeps: list[str]) -> None:
    """With two repositories WAL is archived through the spool; its first segments have the same names again."""
    spool = machine.root / "var" / "spool" / "pgbackrest"
    (spool / "archive" / "shop" / "out").mkdir(parents=True)
    (spool / "archive" / "shop" / "out" / "000000010000000000000001.ok").touch()
    remove_paths(replace(machine, keeps=keeps).paths())
    assert list(spool.iterdir()) == []


def test_what_belongs_to_others_stays(machine: Machine) -> None:
    remove_paths(machine.paths())
    left = {str(path.relative_to(machine.root)) for path in machine.root.rglob("*")}
    assert {"srv/fast/PG_16_202307071", "var/lib/postgresql/17/other", "repo/backup"} <= left
    assert machine.paths() == []


def test_a_repository_is_emptied_and_its_directory_stays(machine: Machine) -> None:
    host = replace(machine, kinds=["pgbackrest"], repository=machine.root / "repo")
    remove_paths(host.paths())
    assert list((machine.root / "repo").iterdir()) == []
    assert (machine.root / "var/lib/postgresql/17/main").exists()


@pytest.mark.parametrize(
    ("configured", "more"),
    [("[shop]\npg1-path=/data\n", []), ("[shopping]\npg1-path=/data\n", ["--pg1-path=/nonexistent"])],
)
def test_backups_that_were_kept_can_be_deleted_when_nobody_knows_their_servers_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str, more: list[str]
) -> None:
    """pgBackRest deletes no stanza without a data directory."""
    config = tmp_path / "pgbackrest.conf"
    config.write_text(f"[global]\nrepo1-path=/repository\n{configured}")
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(PgBackRest, "run", lambda _self, *words, **_options: ran.append(words))
    monkeypatch.setattr(PgBackRest, "run_when_free", lambda _self, *words, **_options: ran.append(words))
    delete_stanza(PgBackRest("shop", config), 1)
    assert ran == [("stop",), ("stanza-delete", "--force", *more), ("start",)]


def test_a_proxy_of_its_own_goes_and_another_forgets_the_cluster() -> None:
    facts = replace(FACTS, proxies=["p"], containers=[*FACTS.containers, "p"])
    for request in (DELETE, KEEP):
        found = removal(request, facts)
        assert "p" in found.hosts
        assert found.proxies == []
        assert changes(found)["p"] == "is removed, with its container and volumes"
    shared = removal(DELETE, replace(facts, of_others={"p": ["main"]}))
    assert "p" not in shared.hosts
    assert shared.proxies == ["p"]
    assert changes(shared)["p"] == "its HAProxy forgets the cluster"


def test_a_proxy_of_others_that_is_there_no_more_has_nothing_to_forget() -> None:
    facts = replace(FACTS, proxies=["p"], containers=[*FACTS.containers, "p"], of_others={"p": ["main"]})
    found = removal(DELETE, replace(facts, missing=["p"], unreachable={}))
    assert (found.plan.refusals, found.proxies) == ([], [])


def test_what_is_cleared_of_a_host_is_what_it_is_for_the_cluster() -> None:
    machines = replace(FACTS, containers=[], proxies=["p"])
    parts = {"a": ["postgres"], "b": ["postgres"], "repo": ["pgbackrest", "redis"], "p": ["haproxy"]}
    found = removal(DELETE, replace(machines, redis="repo", parts=parts, also={"p": ["pgbackrest"], "b": ["redis"]}))
    assert {host: (one.kinds, one.keeps, one.repository) for host, one in found.clears.items()} == {
        "a": (["postgres"], [], False),
        "b": (["postgres"], ["redis"], False),
        "repo": (["pgbackrest", "redis"], [], True),
        # It holds somebody's backups in the same directory.
        "p": (["haproxy"], ["pgbackrest"], False),
    }
    assert found.keys == ["a", "b", "repo"]
    assert [host for host, one in removal(DELETE, FACTS).clears.items() if one.repository] == ["repo"]
    assert removal(KEEP, machines).clears["p"].repository is False


def test_a_redis_that_stays_loses_its_haproxy_with_the_last_cluster() -> None:
    found = removal(DELETE, replace(FACTS, containers=[], proxies=["redis"]))
    assert found.hosts == ["repo", "redis"]
    assert found.clears["redis"].repository is False


@pytest.mark.parametrize(
    ("request_", "changed", "goes", "said"),
    [
        (DELETE, {}, False, "The passwords and the authority stay in /secrets: another inventory may have that folder"),
        (replace(DELETE, secrets=True), {}, True, "The passwords and the authority in /secrets are deleted, unless"),
        (replace(Request("", "shop"), secrets=True), {"holdings": Holdings(exists=True)}, True, "are deleted, unless"),
        (replace(DELETE, secrets=True), {"alone": False}, False, ""),
        (DELETE, {"alone": False}, False, ""),
        (KEEP, {}, False, ""),
    ],
)
def test_the_secrets_go_where_that_was_said_and_nothing_needs_them(
    request_: Request, changed: dict[str, Any], goes: bool, said: str
) -> None:
    found = removal(request_, replace(FACTS, secrets="/secrets", **changed))
    assert found.secrets is goes
    about = [one for one in found.plan.expected if "/secrets" in one]
    assert len(about) == bool(said)
    assert said in "".join(about)


def test_a_machine_with_haproxy_stops_it_first() -> None:
    found = removal(DELETE, replace(FACTS, proxies=["p", "a"], containers=[]))
    assert found.proxies == ["p", "a"]
    assert "p" in found.hosts
    assert changes(found)["p"].startswith("is cleared: HAProxy's configuration")
    assert changes(found)["a"].startswith("is stopped for good")
    assert "p does not answer" in refused(DELETE, replace(FACTS, proxies=["p"], unreachable={"p": "no route"}))


def test_of_a_second_repository_only_what_is_empty_goes(machine: Machine) -> None:
    """It may be on a share, with things of others; pgBackRest has deleted the stanzas."""
    share = machine.root / "mnt" / "share"
    for name in ("archive", "backup/other", "photos"):
        (share / name).mkdir(parents=True)
    there = replace(machine, kinds=["pgbackrest"], repository=machine.root / "repo", second=share)
    remove_paths(there.paths())
    assert sorted(path.name for path in share.iterdir()) == ["backup", "photos"]
    (share / "backup" / "other").rmdir()
    remove_paths(there.paths())
    assert [path.name for path in share.iterdir()] == ["photos"]
    assert (machine.root / "repo").is_dir()
    assert replace(there, second=machine.root / "nowhere").paths() == there.paths() == []
