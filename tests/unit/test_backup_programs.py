# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup asks before it, what it asks when it has ended, and how it is recorded: as modules and as programs."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from memory_redis import MemoryRedis

from ansible_collections.relevo.postgres.plugins.action import backup_cycle_plan, pgbackrest_backup
from ansible_collections.relevo.postgres.plugins.module_utils._backup import ask, make, primary, record
from ansible_collections.relevo.postgres.plugins.module_utils._backup.arguments import (
    backup_spec,
    info_spec,
    record_spec,
)
from ansible_collections.relevo.postgres.plugins.module_utils._catalog import store
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import backup as repository_backup
from ansible_collections.relevo.postgres.plugins.module_utils._repository.backup import BackupMade
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import Finished, PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.plugin_utils import _node_program, _observer
from ansible_collections.relevo.postgres.plugins.plugin_utils._node_action import KILLED
from ansible_collections.relevo.postgres.plugins.plugin_utils._program_action import ProgramAction

NODES = [{"name": "a", "host": "a", "port": 5432}, {"name": "b", "host": "b", "port": 5432}]
REDIS = {"host": "r", "port": 6379, "username": None, "password": None, "db": 0, "tls": False, "timeout": 1.0}
BACKUP = {
    "label": "20261124-120000F",
    "type": "full",
    "timestamp": {"start": 1795521600, "stop": 1795521660},
    "archive": {"start": "000000010000000000000003", "stop": "000000010000000000000003"},
    "info": {"size": 1000, "delta": 1000, "repository": {"delta": 100}},
    "database": {"id": 1, "repo-key": 1},
    "annotation": {"relevo-primary": "a"},
    "reference": None,
}


def given(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The arguments of a module with these, and the defaults of the others."""
    return {name: option.get("default") for name, option in spec["argument_spec"].items()} | more


def state(name: str, in_recovery: bool, timeline: int = 1) -> NodeState:
    return NodeState(Peer(name, f"{name}.example"), {"in_recovery": in_recovery, "timeline": timeline})


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What pgBackRest says of the stanza; nobody is asked."""
    said: dict[str, Any] = {"backup": [BACKUP], "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "17"}]}
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda *_arguments: said)
    return said


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[NodeState]:
    """What the servers answer."""
    states = [state("a", in_recovery=False), state("b", in_recovery=True)]
    monkeypatch.setattr(primary, "probe", lambda *_arguments: states)
    monkeypatch.setattr(primary, "PSYCOPG_IMPORT_ERROR", None)
    return states


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pgbackrest.conf"
    path.write_text(f"[global]\nrepo1-path={tmp_path}\n")
    return path


# --- before -----------------------------------------------------------------------------------------------------


def test_all_is_asked_at_once(entry: dict[str, Any], servers: list[NodeState], config: Path) -> None:
    found = ask.ask(given(info_spec(), config=str(config), nodes=NODES))
    assert found["repositories"] == [{"number": 1, "place": str(config.parent), "directory": str(config.parent)}]
    assert found["primary"] == {"name": "a", "host": "a.example", "timeline": 1}
    assert found["backups"] == entry["backup"]
    assert datetime.datetime.fromisoformat(found["now"]).tzinfo is not None
    assert "catalog" not in found, "Redis is not asked where nobody named one"


@pytest.mark.parametrize(("number", "asked"), [(0, False), (1, True), (2, True)])
def test_of_several_repositories_the_one_that_is_named_is_asked(
    entry: dict[str, Any], servers: list[NodeState], config: Path, number: int, asked: bool
) -> None:
    for one in (1, 2):
        config.with_name(f"repo{one}.conf").write_text(f"[global]\nrepo1-path=/{one}\n")
    found = ask.ask(given(info_spec(), config=str(config), nodes=NODES, repository=number))
    assert [one["number"] for one in found["repositories"]] == [1, 2]
    assert ("backups" in found, "primary" in found) == (asked, asked)


@pytest.mark.parametrize("only", [1, 2])
def test_the_only_one_that_is_listed_is_asked(
    entry: dict[str, Any], servers: list[NodeState], config: Path, only: int
) -> None:
    for one in (1, 2):
        config.with_name(f"repo{one}.conf").write_text(f"[global]\nrepo1-path=/{one}\n")
    found = ask.ask(given(info_spec(), config=str(config), nodes=NODES, only=only))
    assert [one["number"] for one in found["repositories"]] == [only]
    assert "backups" in found


def test_a_repository_that_is_not_there_is_refused(config: Path) -> None:
    with pytest.raises(RelevoError, match="There is no repository 2. Nothing was touched"):
        ask.ask(given(info_spec(), config=str(config), nodes=NODES, only=2))


def test_that_there_is_no_primary_is_said_first(
    monkeypatch: pytest.MonkeyPatch, servers: list[NodeState], config: Path
) -> None:
    def broken(*_arguments: object) -> dict[str, Any]:
        raise RelevoError("The repository cannot be read.")

    monkeypatch.setattr(PgBackRest, "require_stanza", broken)
    with pytest.raises(RelevoError, match="cannot be read"):
        ask.ask(given(info_spec(), config=str(config), nodes=NODES))
    servers[0] = state("a", in_recovery=True)
    with pytest.raises(RelevoError, match="No primary answers"):
        ask.ask(given(info_spec(), config=str(config), nodes=NODES))


def test_a_backup_that_runs_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], servers: list[NodeState], config: Path
) -> None:
    waited: list[float] = []
    entry["status"] = {"lock": {"backup": {"held": True}}}

    def wait(_pgbackrest: PgBackRest, seconds: float) -> dict[str, Any]:
        waited.append(seconds)
        return {"backup": []}

    monkeypatch.setattr(repository_backup, "wait_for_idle", wait)
    assert ask.ask(given(info_spec(), config=str(config), nodes=NODES, wait=5.0))["backups"] == []
    assert waited == [5.0]


def test_where_another_host_asks_the_servers_nobody_does_here(entry: dict[str, Any], config: Path) -> None:
    assert "primary" not in ask.ask(given(info_spec(), config=str(config), nodes=[]))


def test_redis_being_away_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], servers: list[NodeState], config: Path
) -> None:
    monkeypatch.setattr(store, "IMPORT_ERROR", None)
    monkeypatch.setattr(store, "_client", lambda _params: MemoryRedis())
    asked = given(info_spec(), config=str(config), nodes=NODES, catalog=REDIS)
    assert ask.ask(asked)["catalog"] == {"reachable": True, "reason": "", "kind": ""}

    def away(*_arguments: object) -> None:
        raise store.RedisError("Redis at r:6379 cannot be reached.", "unavailable")

    monkeypatch.setattr(store, "known_keys", away)
    assert ask.ask(asked)["catalog"] == {
        "reachable": False,
        "reason": "Redis at r:6379 cannot be reached.",
        "kind": "unavailable",
    }
    monkeypatch.setattr(store, "IMPORT_ERROR", "Traceback")
    assert "lacks the Python package redis" in ask.ask(asked)["catalog"]["reason"]


# --- the decision -----------------------------------------------------------------------------------------------


def options(**more: Any) -> dict[str, Any]:
    spec = backup_cycle_plan.ActionModule.SPEC["argument_spec"]
    return {name: option.get("default") for name, option in spec.items()} | {"days": {1: ["full"]}} | more


def decided(asked: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return backup_cycle_plan.decide(options(**more), {"backups": []} | (asked or {}))


def test_the_dates_are_those_of_the_repository_host() -> None:
    asked = {"number": 1, "primary": {"name": "a"}, "now": "2026-11-24T23:30:00-05:00"}
    plan = decided(asked, requested_by="alice@ctl")
    assert plan["cycle"] == "20261125T043000Z"
    notes = plan["steps"][0]["annotations"]
    assert (notes["relevo-by"], notes["relevo-primary"]) == ("alice@ctl", "a")
    done = asked | {"backups": [BACKUP | {"annotation": notes}]}
    # The same day there, though it is another one in UTC.
    assert decided(done | {"now": "2026-11-24T23:59:00-05:00"}, rest_hours=0.0)["nothing_to_do"]
    assert not decided(done | {"now": "2026-11-25T00:01:00-05:00"}, rest_hours=0.0)["nothing_to_do"]


def test_where_nobody_was_asked_it_is_now() -> None:
    plan = decided(primary="b")
    assert plan["steps"][0]["annotations"]["relevo-primary"] == "b"


@pytest.mark.parametrize(
    ("number", "second", "type"),
    [(1, {1: ["incr"]}, "full"), (2, {1: ["incr"]}, "incr"), (2, None, "full"), (None, {1: ["incr"]}, "full")],
)
def test_each_repository_has_its_own_cycle(number: int | None, second: dict[int, list[str]] | None, type: str) -> None:
    asked = {} if number is None else {"number": number}
    assert [step["type"] for step in decided(asked, second_days=second)["steps"]] == [type]


@pytest.mark.parametrize("number", [1, 2])
def test_both_cycles_are_looked_at(number: int) -> None:
    with pytest.raises(RelevoError, match="Choose among full, diff, incr"):
        decided({"number": number}, second_days={1: ["whole"]})


def test_a_backup_that_runs_is_in_the_plan() -> None:
    assert decided(running="50%")["operation_plan"]["refusals"]


class Planning(backup_cycle_plan.ActionModule):
    """Whose repository host answers a program, or a module, and notes what it was asked."""

    def __init__(self, program: dict[str, Any] | None, module: dict[str, Any] | None = None) -> None:
        self.program, self.result = program, module
        self.questions: list[tuple[str, dict[str, Any]]] = []
        self._task_vars = {"inventory_hostname": "backup1", "hostvars": {"b": {}}}
        self._task: Any = SimpleNamespace(delegate_to=None)
        self._play_context: Any = None

    def ask(self, entry: str, question: dict[str, Any]) -> dict[str, Any] | None:
        self.questions.append((entry, question["arguments"]))
        return self.program

    def module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.questions.append((name, arguments))
        return self.result or {}


ANSWER = {"changed": False, "repositories": [{"number": 1}], "number": 1, "backups": [], "now": ""}
ASK = {"nodes": NODES, "timeout": 4, "passfile": "/p", "ca_file": "/c", "unreachable": {}}


def test_it_asks_with_a_program_and_keeps_what_it_need_not_return() -> None:
    action = Planning(ANSWER | {"primary": {"name": "a"}})
    result = action.work(options(ask=ASK))
    assert action.questions == [("_backup.ask", ASK)]
    assert (result["number"], result["primary"], result["steps"][0]["type"]) == (1, {"name": "a"}, "full")
    assert "backups" not in result


def test_where_the_interpreter_is_unknown_it_is_the_module() -> None:
    action = Planning(None, ANSWER | {"primary": {"name": "a"}})
    assert action.work(options(ask=ASK))["steps"]
    assert [name for name, _question in action.questions] == ["_backup.ask", "relevo.postgres.backup_cycle_info"]


def test_of_several_repositories_nothing_is_decided() -> None:
    listed = {"changed": False, "repositories": [{"number": 1}, {"number": 2}]}
    assert Planning(listed).work(options(ask=ASK)) == listed


def test_another_host_may_say_who_is_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_observer, "primary", lambda _action, _variables, observer, _given: {"name": observer})
    action = Planning(dict(ANSWER))
    assert action.work(options(ask=ASK, observer="b"))["primary"] == {"name": "b"}
    assert action.questions == [("_backup.ask", ASK | {"nodes": []})]


def test_nobody_is_asked_where_the_backups_are_given() -> None:
    action = Planning(None)
    assert action.work(options(backups=[]))["steps"]
    assert action.questions == []


# --- the backup -------------------------------------------------------------------------------------------------


BEFORE = {
    "name": "a",
    "timeline": 1,
    "nodes": NODES,
    "timeout": 4,
    "passfile": "/p",
    "ca_file": "/c",
    "unreachable": {},
    "observer": "",
}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, config: Path) -> dict[str, Any]:
    """The arguments of a backup that pgBackRest makes with a warning."""
    finished = Finished(0, "", "WARN: no prior backup exists\n", 12.34)
    monkeypatch.setattr(make, "make_backup", lambda *_: BackupMade(BACKUP, ["old"], ["b"], False, finished))
    return given(backup_spec(), config=str(config), type="full", primary=BEFORE)


def test_who_is_primary_is_asked_when_it_has_ended(made: dict[str, Any], servers: list[NodeState]) -> None:
    result = make.make(made, check_mode=False)
    assert result["primary_now"] == {"name": "a", "host": "a.example", "timeline": 1}
    assert (result["label"], result["type"], result["expired"]) == ("20261124-120000F", "full", ["old"])
    assert (result["duration"], result["changed"], result["skipped_step"]) == (12.3, True, False)
    assert result["warnings"] == [
        "pgBackRest: no prior backup exists",
        "b did not answer and was left out of the backup's view. Start it, or run rejoin.yml.",
    ]


def test_nobody_is_asked_unless_that_is_wanted(made: dict[str, Any]) -> None:
    assert "primary_now" not in make.make(made | {"primary": None}, check_mode=False)
    assert "primary_now" not in make.make(made | {"primary": BEFORE | {"nodes": []}}, check_mode=False)


def test_a_backup_is_named_also_where_nobody_is_primary_afterwards(
    made: dict[str, Any], servers: list[NodeState]
) -> None:
    servers[0] = state("a", in_recovery=True)
    with pytest.raises(RelevoError, match=r"The backup 20261124-120000F was made. No primary answers") as failed:
        make.make(made, check_mode=False)
    assert failed.value.details["label"] == "20261124-120000F"
    assert failed.value.details["changed"]


def test_in_check_mode_nothing_is_run(monkeypatch: pytest.MonkeyPatch, made: dict[str, Any]) -> None:
    monkeypatch.delattr(make, "make_backup")
    result = make.make(made, check_mode=True)
    assert result["changed"]
    assert "--type=full" in result["command"]


@pytest.mark.parametrize(
    ("after", "source"),
    [({"name": "a", "timeline": 1}, "a"), ({"name": "b", "timeline": 2}, "a"), ({"name": "b", "timeline": 1}, None)],
)
def test_from_whom_it_was_taken(after: dict[str, Any], source: str | None) -> None:
    result = {"backup": BACKUP, "primary_now": after}
    if source is None:
        with pytest.raises(RelevoError, match="does not tell of which one"):
            pgbackrest_backup.taken_from(result, BEFORE)
    else:
        assert pgbackrest_backup.taken_from(result, BEFORE) == source


def test_a_step_that_was_skipped_counts_for_who_was_primary() -> None:
    assert pgbackrest_backup.taken_from({"primary_now": {"name": "b", "timeline": 2}}, BEFORE) == "a"


# --- the record -------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> MemoryRedis:
    server = MemoryRedis()
    monkeypatch.setattr(store, "IMPORT_ERROR", None)
    monkeypatch.setattr(store, "_client", lambda _params: server)
    return server


def test_what_the_repository_holds_is_recorded(entry: dict[str, Any], redis: MemoryRedis, config: Path) -> None:
    asked = given(record_spec(), config=str(config), **REDIS)
    result = record.record(asked, check_mode=False)
    assert result["changed"]
    [key] = result["written"]
    assert redis.hashes[key]["etiqueta"] == "20261124-120000F"
    assert not record.record(asked, check_mode=False)["changed"]


def test_pgbackrest_is_not_asked_for_what_is_given(
    monkeypatch: pytest.MonkeyPatch, redis: MemoryRedis, config: Path
) -> None:
    monkeypatch.delattr(PgBackRest, "require_stanza")
    asked = given(record_spec(), config=str(config), **REDIS)
    assert record.record(asked | {"backups": [BACKUP]}, check_mode=True)["written"]
    assert record.record(asked | {"state": "absent", "keys": ["backup:x"]}, check_mode=True)["removed"] == []


def test_without_its_library_that_is_said(monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], config: Path) -> None:
    monkeypatch.setattr(store, "IMPORT_ERROR", "Traceback")
    with pytest.raises(RelevoError, match="lacks the Python package redis"):
        record.record(given(record_spec(), config=str(config), **REDIS), check_mode=False)


# --- as programs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry_point", "question", "said"),
    [
        (
            "_backup.ask",
            {"arguments": given(info_spec(), only=2, config="/nowhere/x.conf")},
            "There is no repository 2",
        ),
        (
            "_backup.make",
            {"arguments": given(backup_spec(), force=True), "check_mode": False},
            "force belongs to offline backups",
        ),
        (
            "_backup.record",
            {"arguments": given(record_spec(), **{**REDIS, "host": ""}, backups=[]), "check_mode": True},
            "No Redis is named",
        ),
        ("_restore.operation_lock", {"operation": "backup", "clusters": [], "wait": 0, "prove": True}, None),
    ],
)
def test_each_runs_where_nothing_of_the_collection_is(
    tmp_path: Path, entry_point: str, question: dict[str, Any], said: str | None
) -> None:
    text = _node_program.program(entry_point, question)
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    if said is None:
        # It gets as far as what names the play, which is missing here.
        assert "KeyError: 'play'" in done.stderr
    else:
        answer = _node_program.answer_in(done.stdout)
        assert answer is not None, done.stderr
        assert answer["failed"]
        assert said in answer["msg"]


class Asking(ProgramAction):
    ENTRY = "_backup.ask"
    WHAT = "Asking"
    LOST = "Run this again."

    def spec(self) -> dict[str, Any]:
        return {}


def lost(code: int) -> dict[str, Any]:
    return {"rc": code, "stdout": "", "stderr": "Traceback\nMemoryError.\n"}


@pytest.mark.parametrize(
    ("answers", "repeated", "said"),
    [
        ([{"rc": 0, "stdout": f'{_node_program.MARK}{{"a": 1}}', "stderr": ""}], False, {"a": 1}),
        ([lost(1)], False, "Asking ended with 1 and without an answer: MemoryError. Run this again."),
        ([lost(1), {"rc": 0, "stdout": f'{_node_program.MARK}{{"a": 1}}', "stderr": ""}], True, {"a": 1}),
        ([lost(1), lost(2)], True, "Asking ended with 2 and without an answer: MemoryError. Run this again."),
        # The node went away: it is not asked again, and the action says so by this status.
        ([lost(KILLED)], True, f"Asking ended with {KILLED} and without an answer: MemoryError. Run this again."),
    ],
)
def test_an_answer_that_is_lost_is_asked_for_again_where_that_is_harmless(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], repeated: bool, said: str | dict[str, Any]
) -> None:
    left = iter(answers)
    monkeypatch.setattr(_node_program, "run", lambda *_arguments: next(left))
    monkeypatch.setattr(Asking, "REPEATED", repeated)
    monkeypatch.setattr(Asking, "validate_argument_spec", lambda *_arguments: (None, {}))
    action: Any = Asking.__new__(Asking)
    action._task = SimpleNamespace(check_mode=False, args={})
    result = action._execute_module(task_vars={})
    assert (result["msg"] if isinstance(said, str) else result) == said
    assert list(left) == []


@pytest.mark.parametrize(("observer", "another"), [("", False), ("backup1", False), ("b", True)])
def test_who_is_another_host(observer: str, another: bool) -> None:
    action: Any = SimpleNamespace(_task=SimpleNamespace(delegate_to=None))
    assert _observer.is_another(action, {"inventory_hostname": "backup1"}, observer) is another
