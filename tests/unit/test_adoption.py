# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against the adoption of a server that others have set up, what it changes, and what it adds to files."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import adoption_words, foreign
from ansible_collections.relevo.postgres.plugins.module_utils._server.adoption import (
    Adoption,
    Found,
    Wanted,
    canonical,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.adoption_files import (
    BEGIN,
    DROP_IN,
    END,
    INCLUDE,
    adopted_unit,
    drop_in,
    start_conf,
    with_block,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Systemd, unit_of

IN_FORCE = {
    "server_version_num": "170012",
    "data_directory": "/var/lib/postgresql/17/main",
    "listen_addresses": "*",
    "port": "5432",
    "wal_level": "replica",
    "wal_segment_size": "16MB",
    "synchronous_standby_names": "",
    "archive_mode": "on",
    "archive_command": "(disabled)",
    "archive_library": "",
    "max_connections": "200",
    "wal_keep_size": "0",
}
SETTINGS = """\
data_directory = '/var/lib/postgresql/17/main'
max_connections = '100'
wal_keep_size = '512MB'
archive_command = 'pgbackrest --stanza=main archive-push %p'
archive_mode = 'on'
include_dir = 'conf.d'
"""
PEER = {"type": "local", "database": ["all"], "user_name": ["all"], "address": None, "netmask": None}
PEER |= {"auth_method": "peer", "options": []}
APP = {"type": "host", "database": ["shop", "crm"], "user_name": ["app"], "address": "10.0.0.0"}
APP |= {"netmask": "255.0.0.0", "auth_method": "scram-sha-256", "options": []}
APP_VARIABLE = {"type": "host", "database": "crm, shop", "user": "app", "address": "10.0.0.0/8"}
FOUND = Found(
    standby=False,
    unit="postgresql@17-main.service",
    file_settings={"max_connections": "200"},
    in_force=IN_FORCE,
    at_start=frozenset({"max_connections", "archive_mode"}),
    hba=[PEER],
)
WANTED = Wanted(SETTINGS, decided=frozenset({"max_connections"}))


def force(**values: str) -> Found:
    return replace(FOUND, in_force=IN_FORCE | values)


def test_a_server_about_which_all_is_decided_can_be_adopted() -> None:
    decision = decide(FOUND, WANTED)
    assert decision.possible
    assert decision.now == [
        "archive_command from (disabled) to pgbackrest --stanza=main archive-push %p",
        "wal_keep_size from 0 to 512MB",
    ]
    assert decision.at_start == ["max_connections from 200 to 100"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (force(data_directory="/srv/pg"), "its data directory is /srv/pg, and only /var/lib/postgresql/17/main"),
        (force(port="5433"), "it listens on port 5433, and postgresql_port is 5432"),
        (replace(FOUND, unit=""), "no unit of systemd runs it"),
        (replace(FOUND, rivals=["patroni", "repmgrd"]), "patroni and repmgrd runs beside it"),
        (force(listen_addresses="localhost"), "it listens on localhost only"),
        (force(listen_addresses=""), "it listens on no address only"),
        (force(wal_level="minimal"), "wal_level is minimal"),
        (force(wal_segment_size="64MB"), "its WAL segments have 64MB, and segments are counted as 16MB here"),
        (force(wal_segment_size="1MB"), "pg_resetwal --wal-segsize=16 on the stopped primary"),
        (force(synchronous_standby_names="*"), "set postgresql_synchronous: true"),
        (replace(FOUND, maps=["staff"]), "pg_ident.conf has maps of users, which site.yml cannot keep"),
        (replace(FOUND, free_slots=0), "it has 0 replication slots left, and 1 are needed"),
        (replace(FOUND, own_database=True), "it has a database relevo that site.yml has not made"),
        (replace(FOUND, pgbackrest_of_others=True), "/etc/pgbackrest/pgbackrest.conf is somebody else's"),
        (force(archive_mode="off"), "archive_mode is off, and can only be set by a restart"),
        (force(archive_command="cp %p /archive/%f"), "it archives its WAL with cp %p /archive/%f"),
        (force(archive_command="", archive_library="basic_archive"), "it archives its WAL with basic_archive"),
        (force(archive_command="pgbackrest --stanza=old archive-push %p"), "that archive would end here"),
        (replace(FOUND, hba=[PEER | {"auth_method": "md5"}]), "lines that ours cannot have (local ... md5)"),
        (replace(FOUND, hba=[APP | {"auth_method": "cert"}]), "lines that ours cannot have (host ... cert)"),
        (replace(FOUND, hba=[APP | {"options": ["clientcert=verify-ca"]}]), "judged by another authority"),
    ],
)
def test_what_has_to_be_done_first(found: Found, words: str) -> None:
    decision = decide(found, WANTED)
    assert len(decision.refusals) == 1, decision.refusals
    assert words in decision.refusals[0]


@pytest.mark.parametrize(
    ("standby", "name", "value"),
    [(False, "archive_command", ""), (False, "ssl", "off"), (True, "recovery_target_timeline", "current")],
)
def test_what_alter_system_has_set_would_override_ours(standby: bool, name: str, value: str) -> None:
    decision = decide(replace(FOUND, standby=standby, by_alter_system={name: value}), WANTED)
    assert decision.refusals == [
        f"ALTER SYSTEM has set {name} to {value or 'nothing'}, which overrides what site.yml writes: ALTER SYSTEM "
        f"RESET {name}, and reload it"
    ]


@pytest.mark.parametrize(
    ("standby", "name", "value"),
    [
        (False, "archive_mode", "ON"),
        (False, "work_mem", "1GB"),
        # pg_adopt and becoming a standby take these out.
        (True, "primary_conninfo", "host=db1"),
        (False, "primary_conninfo", "host=db1"),
        (False, "recovery_target_timeline", "current"),
        (True, "recovery_target_timeline", "latest"),
    ],
)
def test_what_alter_system_has_set_and_does_no_harm_stays(standby: bool, name: str, value: str) -> None:
    assert decide(replace(FOUND, standby=standby, by_alter_system={name: value}), WANTED).possible


def test_no_archive_is_ended_by_alter_system() -> None:
    [refusal] = decide(force(archive_command="cp %p /archive/%f"), WANTED).refusals
    assert "in its files (not by ALTER SYSTEM" in refusal


def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """What a server tells that has its configuration, its rules and its maps in this folder."""
    said = {
        "standby": False,
        "in_force": IN_FORCE | {name: str(tmp_path / name) for name in ("config_file", "hba_file", "ident_file")},
        "at_start": [],
        "files": [
            ["work_mem", "7MB", "/etc/postgresql/17/main/postgresql.conf"],
            ["archive_command", "", "/var/lib/postgresql/17/main/postgresql.auto.conf"],
        ],
        "free_slots": 10,
        "own_database": False,
    } | dict.fromkeys(("defaults", "hba", "maps", "passwords"))
    monkeypatch.setattr(foreign, "psql", lambda *_asked: json.dumps(said))
    monkeypatch.setattr(foreign, "listening_port", lambda _server: 5432)
    return foreign.look(Server(tmp_path))[0]


def test_a_server_tells_what_alter_system_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(tmp_path, monkeypatch)
    assert (found.file_settings, found.by_alter_system) == ({"work_mem": "7MB"}, {"archive_command": ""})
    assert found.in_force["wal_segment_size"] == "16MB"


@pytest.mark.parametrize("name", ["config_file", "hba_file", "ident_file"])
def test_a_run_that_died_between_two_files_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its lines for our roles would else be others' rules, to be decided, and our map a map of theirs."""
    (tmp_path / name).write_text("listen_addresses = '*'\n")
    assert not told(tmp_path, monkeypatch).included
    (tmp_path / name).write_text(with_block("listen_addresses = '*'\n", "ours\n", top=True))
    assert told(tmp_path, monkeypatch).included


@pytest.mark.parametrize(("command", "answer", "read"), [("ours", "f", True), ("", "t", True), ("", "f", False)])
def test_a_server_goes_by_our_files_once_it_has_read_them(
    monkeypatch: pytest.MonkeyPatch, command: str, answer: str, read: bool
) -> None:
    monkeypatch.setattr(foreign, "reads_our_files", lambda _server: bool(command))
    monkeypatch.setattr(foreign, "listening_port", lambda _server: 5432)
    monkeypatch.setattr(foreign, "psql", lambda *_asked: f"{answer}\n")
    assert foreign.has_read_our_files(Server(Path("/d"))) is read


def test_a_password_that_somebody_has_is_not_replaced() -> None:
    found = replace(FOUND, passwords=frozenset({"shop", "crm"}))
    assert decide(found, replace(WANTED, users=["new", "shop"])).refusals == [
        "postgresql_users would give shop another password: leave out who exists already"
    ]
    assert decide(found, replace(WANTED, users=["new"])).possible


@pytest.mark.parametrize("command", ["", "(disabled)", "/bin/true", "pgbackrest --stanza=main archive-push %p"])
def test_an_archive_command_that_keeps_nothing_or_is_ours_stands_against_nothing(command: str) -> None:
    assert decide(force(archive_command=command), WANTED).possible


def test_what_was_asked_for_makes_it_possible() -> None:
    assert decide(force(archive_mode="off"), replace(WANTED, restart=True)).possible
    assert decide(force(synchronous_standby_names="*"), replace(WANTED, synchronous=True)).possible
    # A standby's slots are made where the primary is.
    assert decide(replace(FOUND, standby=True, free_slots=0), WANTED).possible


def test_a_setting_that_would_be_lost_has_to_be_decided() -> None:
    theirs = {
        "max_connections": "200",
        "work_mem": "7MB",
        "wal_keep_size": "512MB",
        "datestyle": "iso, mdy",
        "hba_file": "/etc/postgresql/17/main/pg_hba.conf",
        "ssl": "off",
    }
    found = replace(FOUND, file_settings=theirs, defaults=frozenset({"datestyle"}))
    assert decide(found, replace(WANTED, decided=frozenset())).settings == {"max_connections": "200", "work_mem": "7MB"}
    assert decide(found, replace(WANTED, decided=frozenset({"max_connections", "work_mem"}))).possible


def test_a_rule_of_access_that_would_be_lost_has_to_be_decided() -> None:
    found = replace(FOUND, hba=[PEER, APP])
    rules = decide(found, WANTED).rules
    assert [canonical(rule) for rule in rules] == [canonical(APP_VARIABLE)]
    assert decide(found, replace(WANTED, hba=[APP_VARIABLE])).possible
    assert not decide(found, replace(WANTED, hba=[APP_VARIABLE | {"method": "md5"}])).possible


def test_what_was_adopted_is_not_asked_again() -> None:
    found = replace(
        FOUND, included=True, by_alter_system={"ssl": "off"}, rivals=["x"], hba=[APP], file_settings={"work_mem": "1GB"}
    )
    assert decide(found, Wanted(SETTINGS)).possible


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"type": "hostssl", "database": "all", "user": "all", "method": "scram-sha-256"}),
        ({"address": "10.1.2.3/8"}, {"address": "10.0.0.0 255.0.0.0"}),
        ({"user": '"app",web'}, {"user": "web, app"}),
        ({"options": "b=1 a=2"}, {"options": "a=2 b=1"}),
    ],
)
def test_rules_that_mean_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(other | {"address": "samehost"})


def test_the_lines_for_the_inventory_are_yaml_and_decide_all() -> None:
    found = replace(FOUND, hba=[APP], file_settings={"search_path": '"$user", public'})
    text = "\n".join(adoption_words.inventory_lines(decide(found, WANTED)))
    given = yaml.safe_load(text)
    wanted = replace(WANTED, decided=frozenset(given["postgresql_parameters"]), hba=given["postgresql_hba"])
    assert given["postgresql_parameters"] == {"search_path": '"$user", public'}
    assert decide(found, wanted).possible


def test_a_refusal_says_what_to_do() -> None:
    asked = adoption_words.refusal(Adoption(), "the plan", "postgresql@17-main.service")
    assert asked.splitlines()[0] == "the plan"
    assert "site.yml -e adopt=true adopts it." in asked
    assert "pg_dropcluster --stop 17 main" in asked
    first = adoption_words.refusal(Adoption(refusals=["it is late"]), "the plan", "pg.service")
    assert "First: it is late." in first
    assert "adopt=true" not in first
    assert "pg_dropcluster" not in first


def test_the_plan_names_files_and_changes() -> None:
    files = {name: Path(f"/their/{name}") for name in ("config_file", "hba_file", "ident_file")}
    said = adoption_words.plan("db1", FOUND, files, decide(FOUND, WANTED))
    assert "db1: a primary that others have set up runs here (postgresql@17-main.service, /their/config_file)." in said
    assert "    max_connections from 200 to 100\n" in said
    assert said.count("nothing") == 0
    assert adoption_words.plan("db1", FOUND, files, Adoption()).count("    nothing") == 2


def test_beside_what_nothing_is_configured() -> None:
    assert adoption_words.in_the_way("", False, "/d") == ""
    assert "with the data directory /srv/pg" in adoption_words.in_the_way("/srv/pg", False, "/d")
    assert "/d holds data that site.yml has not made" in adoption_words.in_the_way("", True, "/d")


@pytest.mark.parametrize("top", [True, False])
def test_our_lines_are_added_and_theirs_stay(top: bool) -> None:
    theirs = "first = 1\n# a comment\nlast = 2"
    once = with_block(theirs, INCLUDE, top)
    block = f"{BEGIN}\n{INCLUDE}{END}\n"
    assert once == (f"{block}{theirs}\n" if top else f"{theirs}\n{block}")
    assert with_block(once, INCLUDE, top) == once
    assert with_block(once, "other\n", top).replace("other\n", INCLUDE) == once
    assert (f"{BEGIN}\n" in theirs, f"{BEGIN}\n" in once) == (False, True)


def test_the_unit_that_a_server_was_adopted_from_is_known_by_our_drop_in(tmp_path: Path) -> None:
    assert adopted_unit(tmp_path) == ""
    for unit, text in (("haproxy.service", "[Service]\n"), ("postgresql@17-main.service", DROP_IN)):
        (tmp_path / f"{unit}.d").mkdir()
        (tmp_path / f"{unit}.d" / "relevo.conf").write_text(text)
    assert adopted_unit(tmp_path) == "postgresql@17-main.service"
    assert drop_in(adopted_unit(tmp_path)).name == "relevo.conf"


def test_debians_word_on_the_start(tmp_path: Path) -> None:
    assert start_conf(tmp_path / "postgresql.conf") is None
    (tmp_path / "start.conf").write_text("auto\n")
    assert start_conf(tmp_path / "postgresql.conf") == tmp_path / "start.conf"


class Recorded(Systemd):
    """A service manager that notes what it is asked."""

    def __init__(self, runs_it: str) -> None:
        super().__init__("postgresql", lambda: runs_it)
        self.asked: list[tuple[str, ...]] = []

    def _systemctl(self, *arguments: str, timeout: float = 30, unit: str = "") -> str:
        self.asked.append((*arguments, unit or self.unit))
        return "inactive"


def test_the_unit_that_runs_an_adopted_server_is_stopped_with_ours() -> None:
    service = Recorded("postgresql@17-main.service")
    service.stop(10)
    assert service.asked == [("stop", "postgresql@17-main.service"), ("stop", "relevo-postgresql.service")]
    service.asked.clear()
    service.ask_to_stop()
    assert ("stop", "--no-block", "postgresql@17-main.service") in service.asked
    assert service.wanted()
    service.asked.clear()
    service.start()
    assert service.asked == [("start", "--no-block", "relevo-postgresql.service")]


@pytest.mark.parametrize("runs_it", ["", "relevo-postgresql.service"])
def test_without_an_adopted_server_only_ours_is_asked(runs_it: str) -> None:
    service = Recorded(runs_it)
    service.stop(10)
    assert service.asked == [("stop", "relevo-postgresql.service")]
    assert not service.wanted()


@pytest.mark.parametrize(
    ("verb", "status", "fails"), [("stop", 0, False), ("stop", 5, False), ("stop", 1, True), ("start", 5, True)]
)
def test_a_unit_that_is_not_there_need_not_be_stopped(
    monkeypatch: pytest.MonkeyPatch, verb: str, status: int, fails: bool
) -> None:
    done = subprocess.CompletedProcess([], status, "", "Unit relevo-postgresql.service not loaded.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_given, **_options: done)
    service = Systemd("postgresql")
    act = service.ask_to_stop if verb == "stop" else service.start
    with pytest.raises(RelevoError, match=f"^systemctl {verb} .* failed") if fails else nullcontext():
        act()


def test_it_has_stopped_only_when_the_unit_that_ran_it_has() -> None:
    """Ours has never run then, and a restart that did not wait would find the old server and call it the new one."""
    assert not Recorded("postgresql@17-main.service").stopped()
    assert Recorded("").stopped()


def test_no_process_is_no_units() -> None:
    assert unit_of(2**22 + 1) == ""
    assert _names.CONFIG_FILE.name in INCLUDE
