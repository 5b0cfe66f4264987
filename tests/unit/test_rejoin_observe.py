"""What a rejoin sees: who may be followed, whether WAL flows, and what this node's disk and server say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin import methods, observe, rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.methods import Copier, standby_settings
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.observe import (
    Observer,
    receives,
    require_primary,
    sends,
)
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import CutOff, Request, Situation, Source
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.rejoin import Rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import Fork
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker, write
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import ControlData, Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Runit
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import Session, SessionError

pytestmark = pytest.mark.usefixtures("own_account")

REQUEST = Request("a", Peer("b", "b.example"))
RECEIVER = {"status": "streaming", "host": "b.example", "port": 5432, "slot": _names.slot_name("a")}
SENDER = {"name": "a", "state": "streaming"}


def test_only_a_primary_that_answers_can_be_followed() -> None:
    require_primary(NodeState(REQUEST.primary, {"in_recovery": False}))
    with pytest.raises(RelevoError, match="cannot be asked .*no answer.*start b"):
        require_primary(NodeState(REQUEST.primary, error="b: no answer"))
    with pytest.raises(RelevoError, match="b is a standby"):
        require_primary(NodeState(REQUEST.primary, {"in_recovery": True}))


@pytest.mark.parametrize(
    "change", [{"status": "waiting"}, {"host": "c"}, {"port": 5433}, {"slot": None}, {"slot": "relevo_c"}]
)
def test_a_receiver_of_something_else_does_not_count(change: dict[str, Any]) -> None:
    assert receives(REQUEST, {"receiver": RECEIVER})
    assert not receives(REQUEST, {"receiver": RECEIVER | change})
    assert not receives(REQUEST, {"receiver": None})


def test_only_a_sender_to_this_node_that_streams_counts() -> None:
    assert sends(REQUEST, {"senders": [{"name": "c", "state": "catchup"}, SENDER]})
    assert not sends(REQUEST, {"senders": [SENDER | {"state": "catchup"}, SENDER | {"name": "c"}]})
    assert not sends(REQUEST, {})


# --- this node -------------------------------------------------------------------------------------------------------


@pytest.fixture
def observer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Observer:
    """A stopped server that was promoted to timeline 3 and has made no checkpoint since."""
    server = Server(tmp_path / "data", tmp_path / "90-replication.conf")
    (server.pgdata / "pg_wal").mkdir(parents=True)
    (server.pgdata / "PG_VERSION").write_text("17\n")
    (server.pgdata / "pg_wal" / "00000003.history").write_text("2\t0/5000000\tx\n")
    control = ControlData("7", "shut down", "0/4000000", 2, "0/5000100", 3)
    monkeypatch.setattr(Server, "control_data", lambda _self: control)
    monkeypatch.setattr(_names, "MARKER_DIR", tmp_path / "relevo")
    return Observer(REQUEST, server)


def test_a_stopped_node_is_what_its_disk_says(observer: Observer) -> None:
    assert observer.situation() == Situation(
        system_identifier="7", state="shut down", timeline=3, end=0x5000100, forks=(Fork(2, 0x5000000),)
    )
    observer.server.write_replication_conf(*standby_settings(REQUEST))
    assert observer.situation().configured


def test_a_node_without_data(observer: Observer) -> None:
    (observer.server.pgdata / "PG_VERSION").unlink()
    assert observer.situation() == Situation(initialised=False)


def test_a_restore_that_was_cut_off_has_no_control_file(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_self: Server) -> ControlData:
        raise RelevoError("pg_controldata failed")

    monkeypatch.setattr(Server, "control_data", unreadable)
    with pytest.raises(RelevoError, match="pg_controldata failed"):
        observer.situation()
    write(Marker.now("rejoin", node="a", by="pg_rejoin", reason="restore"))
    assert observer.situation() == Situation(cut_off="restore")


def running(monkeypatch: pytest.MonkeyPatch, data: dict[str, Any] | None) -> None:
    monkeypatch.setattr(Server, "postmaster_pid", lambda _self: 1)
    monkeypatch.setattr(Observer, "ask_local", lambda *_arguments, **_named: data)


STANDBY = {"in_recovery": True, "timeline": 3, "receive_lsn": "0/6000000", "replay_lsn": "0/5F00000"}


@pytest.mark.parametrize("senders", [[SENDER], []])
def test_a_running_standby_streams_when_both_ends_say_so(
    observer: Observer, monkeypatch: pytest.MonkeyPatch, senders: list[dict[str, str]]
) -> None:
    running(monkeypatch, STANDBY | {"receiver": RECEIVER})
    primary = NodeState(REQUEST.primary, {"in_recovery": False, "senders": senders})
    monkeypatch.setattr(observe, "probe", lambda *_arguments: [primary])
    found = observer.situation()
    assert (found.role, found.end, found.streams) == ("standby", 0x6000000, bool(senders))


def test_one_that_takes_no_connections_yet(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, None)
    assert observer.situation().role == "primary", "it may be one: nothing says that it is a standby"
    (observer.server.pgdata / "standby.signal").touch()
    assert observer.situation().role == "starting"


# --- whose slots it has no use for -----------------------------------------------------------------------------------


def test_only_unused_slots_of_siblings_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def slot(node: str, **changes: Any) -> dict[str, Any]:
        return {"name": _names.slot_name(node), "type": "physical", "active": False} | changes

    slots = [slot("a"), slot("b"), slot("c", active=True), slot("d"), slot("foreign"), slot("d", type="logical")]
    monkeypatch.setattr(Observer, "ask_local", lambda *_arguments, **_named: {"slots": slots})
    request = replace(REQUEST, siblings=("a", "b", "c", "d"))
    assert Rejoin(request, Runit("postgresql"))._left_slots() == [_names.slot_name("b"), _names.slot_name("d")]
    assert Rejoin(REQUEST, Runit("postgresql"))._left_slots() == [_names.slot_name("b")]


class Dropping:
    """A session at a server on which somebody has taken the slot ``taken`` since it was looked at."""

    def __init__(self, taken: str, sqlstate: str = "55006") -> None:
        self.taken, self.sqlstate = taken, sqlstate

    def __enter__(self) -> Dropping:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is open."""

    def query(self, _sql: str, parameters: tuple[str]) -> list[Any]:
        if parameters == (self.taken,):
            raise SessionError("is active", sqlstate=self.sqlstate)
        return []


def test_a_slot_that_was_taken_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    rejoin = Rejoin(REQUEST, Runit("postgresql"))
    monkeypatch.setattr(Session, "local", lambda **_named: Dropping("c"))
    rejoin._drop_slots(["b", "c", "d"])
    assert rejoin.actions == ["dropped the slots b, d"]
    rejoin._drop_slots(["c"])
    assert rejoin.actions == ["dropped the slots b, d"], "nothing was changed"
    monkeypatch.setattr(Session, "local", lambda **_named: Dropping("c", "42501"))
    with pytest.raises(SessionError):
        rejoin._drop_slots(["c"])


# --- one that makes its replay wait, and one that is cut off ---------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "pace"),
    [("RecoveryApplyDelay", "delayed"), ("RecoveryPause", "paused"), ("RecoveryWalStream", ""), (None, "")],
)
def test_what_a_standby_waits_for_on_purpose(waits: str | None, pace: str) -> None:
    state = NodeState(REQUEST.primary, STANDBY | {"replay_waits": waits})
    assert (state.own_pace, state.held_back) == (pace, False)


@pytest.mark.parametrize("waits", ["RecoveryConflictSnapshot", "RecoveryConflictTablespace", "BufferPin", "relation"])
def test_what_a_standby_waits_for_since_somebody_reads(waits: str) -> None:
    state = NodeState(REQUEST.primary, STANDBY | {"replay_waits": waits})
    assert (state.own_pace, state.held_back) == ("", True)


class Pointed(Copier):
    """A copier that writes nothing, and remembers whether the archive was asked for."""

    archive: bool = False

    def configure(self, restore: bool) -> bool:
        self.archive = self.archive or restore
        return False


def awaited(monkeypatch: pytest.MonkeyPatch, observer: Observer, waits: str) -> tuple[Rejoin, Pointed]:
    running(monkeypatch, STANDBY | {"replay_waits": waits})
    monkeypatch.setattr(rejoin, "OWN_PACE_PATIENCE", 0.0)
    monkeypatch.setattr(rejoin, "PATIENCE", 0.0)
    monkeypatch.setattr(Server, "reload", lambda _self: None)
    request = replace(REQUEST, timeout=0.2)
    one = Rejoin(request, Runit("postgresql"), observer.server)
    return one, Pointed(request, Source("7", 3), lambda _timeline: None, -1, observer.server)


def test_a_delayed_standby_is_not_waited_for(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    one, copier = awaited(monkeypatch, observer, "RecoveryApplyDelay")
    one._await_streaming(copier)
    assert (one.own_pace, copier.archive) == ("delayed", False)


def test_one_that_has_replayed_all_and_gets_no_more_is_not_left_alone(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be delayed as well: what it waits for counts, not what is set."""
    one, copier = awaited(monkeypatch, observer, "RecoveryWalStream")
    with pytest.raises(RelevoError, match=r"has not streamed within 0\.2 s"):
        one._await_streaming(copier)
    assert copier.archive


def test_a_delayed_one_may_need_the_archive_for_longer(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "probe", lambda *_arguments: [NodeState(REQUEST.primary, {"in_recovery": False})])
    observer.server.write_replication_conf(*standby_settings(REQUEST, restore=True))
    running(monkeypatch, STANDBY | {"replay_waits": "RecoveryWalStream"})
    assert not observer.situation().configured
    running(monkeypatch, STANDBY | {"replay_waits": "RecoveryApplyDelay"})
    assert observer.situation().follows


@pytest.mark.parametrize("alone", [True, False])
def test_one_that_asks_a_single_repository_is_configured_too(
    observer: Observer, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """The other one did not answer when it was told."""
    config = Path("/etc/pgbackrest/repo2.conf")
    monkeypatch.setattr(observe, "probe", lambda *_arguments: [NodeState(REQUEST.primary, {"in_recovery": False})])
    monkeypatch.setattr(observe, "repositories", lambda: [1, 2] if alone else [1])
    monkeypatch.setattr(observe, "config_of", lambda number: Path(f"/etc/pgbackrest/repo{number}.conf"))
    monkeypatch.setattr(methods, "config_that_answers", lambda _stanza: config)
    Copier(REQUEST, Source("7", 3), lambda _timeline: None, -1, observer.server).configure(restore=True)
    assert str(config) in observer.server.replication_conf.read_text()
    running(monkeypatch, STANDBY | {"replay_waits": "RecoveryApplyDelay"})
    assert observer.situation().configured is alone


def test_a_node_that_is_cut_off_is_a_failure_or_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_arguments: Any, **_named: Any) -> None:
        raise SessionError("the name b.example does not resolve")

    monkeypatch.setattr(Session, "remote", nobody)
    required = Rejoin(REQUEST, Runit("postgresql"))
    with pytest.raises(CutOff, match="The primary cannot be reached .the name b.example does not resolve"):
        required.run()
    found = Rejoin(replace(REQUEST, required=False), Runit("postgresql")).run()
    assert (found["changed"], found["method"], found["withdraw_record"]) == (False, "none", False)
    assert "does not resolve" in found["cut_off"]


@pytest.mark.parametrize(
    ("sqlstate", "is_said"), [("0A000", True), ("53200", True), ("57P01", False), ("08006", False), (None, False)]
)
def test_a_server_that_answers_with_an_error_is_not_taken_for_one_that_starts(
    observer: Observer, monkeypatch: pytest.MonkeyPatch, sqlstate: str | None, is_said: bool
) -> None:
    """A server that starts is waited for and then made anew: not one that runs and is refused by a setting."""

    def refuse(**_named: Any) -> Session:
        raise SessionError("the server of this node: cannot do that", sqlstate)

    monkeypatch.setattr(Session, "local", refuse)
    assert observer.ask_local() is None
    if is_said:
        with pytest.raises(RelevoError, match=r"^a runs, and answers with an error \(.*cannot do that\)\. Nothing was"):
            observer.ask_local(patience=0.1)
    else:
        assert observer.ask_local(patience=0.1) is None
