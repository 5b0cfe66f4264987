"""The start guard's decisions, and what it reads from the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names, _start_guard
from ansible_collections.relevo.postgres.plugins.module_utils._cluster import probe
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.fence_record import RepositoryReader
from ansible_collections.relevo.postgres.plugins.module_utils._server.guard_config import GuardConfig
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import HALF_RECOVERED, Server
from ansible_collections.relevo.postgres.plugins.module_utils._start_guard import (
    LocalState,
    Repository,
    Verdict,
    VerdictLog,
    archive_id,
    ask,
    ask_repository,
    decide,
    newer_timeline,
)

B = Peer("b", "b")
CONFIG = GuardConfig("a", (B,), repository=True)
LOCAL = LocalState("7", 2, "shut down", standby=False)
FENCE = Marker.now("fence", node="a", by="alice", successor="b", timeline=2)
UNREACHABLE = NodeState(B, error="b: no answer in time")
UNREACHABLE_REPOSITORY = Repository(error="no answer within 10 s")


def peer(**data: Any) -> NodeState:
    given = {"in_recovery": True, "system_identifier": "7", "timeline": 2, "handover_lock": None}
    return NodeState(B, data={**given, **data})


def verdict(
    local: LocalState = LOCAL,
    state: NodeState = UNREACHABLE,
    repository: Repository | None = UNREACHABLE_REPOSITORY,
    config: GuardConfig = CONFIG,
) -> Verdict:
    return decide(config, local, [state], repository)


def test_a_standby_starts_whatever_the_fence_says() -> None:
    assert verdict(replace(LOCAL, standby=True, fence=FENCE)).action == "start"


def test_a_rejoin_marker_forbids_even_a_standby_and_a_pass() -> None:
    marker = Marker.now("rejoin", node="a", by="pg_rejoin")
    found = verdict(replace(LOCAL, standby=True, start_pass=True, rejoin=marker), peer())
    assert found.action == "refuse"
    assert "rejoin.yml" in found.advice


def test_a_node_that_was_removed_starts_in_no_way() -> None:
    removed = replace(LOCAL, standby=True, start_pass=True, removed=Marker.now("removed", node="a", by="ann"))
    found = verdict(removed)
    assert (found.action, found.advice) == ("refuse", "add_node.yml -e node=a makes it a standby again.")
    assert found.reason.startswith("it was removed from its cluster by ann at ")


def test_a_start_pass_passes_a_fence_and_a_lock() -> None:
    assert verdict(replace(LOCAL, start_pass=True, fence=FENCE), peer(handover_lock="relevo")).action == "start"


def test_a_fence_in_force_forbids_although_no_witness_objects() -> None:
    found = verdict(replace(LOCAL, fence=FENCE), peer(), Repository())
    assert found.action == "refuse"
    assert "alice" in found.reason
    assert "candidate=a" in found.advice


def test_a_fence_of_an_older_timeline_is_void() -> None:
    assert verdict(replace(LOCAL, timeline=3, fence=FENCE), peer()).action == "start"


def test_a_primary_that_was_stopped_in_its_recovery_is_asked_for_like_any_other() -> None:
    half = replace(LOCAL, state=HALF_RECOVERED)
    assert verdict(half, peer(), Repository()).action == "start"
    assert verdict(half).action == "wait"


@pytest.mark.parametrize("state", ["shut down in recovery", "in archive recovery"])
def test_a_standby_that_lost_its_signal_does_not_become_a_primary(state: str) -> None:
    assert verdict(replace(LOCAL, state=state), peer(), Repository()).action == "refuse"


def test_without_peers_and_repository_it_starts() -> None:
    assert decide(GuardConfig("a"), LOCAL, [], None).action == "start"


def test_a_peer_that_is_primary_forbids() -> None:
    found = verdict(state=peer(in_recovery=False), repository=Repository())
    assert found.action == "refuse"
    assert "b is the primary" in found.reason


def test_a_primary_of_another_cluster_is_no_objection_and_no_witness() -> None:
    other = peer(in_recovery=False, system_identifier="8", handover_lock="x", timeline=9)
    assert verdict(state=other).action == "wait"
    assert "another cluster" in verdict(state=other).reason
    assert verdict(state=other, repository=Repository()).action == "start"


def test_a_peer_that_holds_the_lock_of_a_handover_forbids() -> None:
    found = verdict(state=peer(handover_lock="relevo switchover"), repository=Repository())
    assert found.action == "refuse"
    assert "relevo switchover" in found.reason


def test_a_standby_on_a_newer_timeline_forbids() -> None:
    assert verdict(state=peer(timeline=3), repository=Repository()).action == "refuse"


def test_a_record_on_the_repository_host_forbids() -> None:
    assert verdict(state=peer(), repository=Repository(fence=FENCE)).action == "refuse"


def test_a_void_record_on_the_repository_host_does_not() -> None:
    assert verdict(replace(LOCAL, timeline=3), peer(timeline=3), Repository(fence=FENCE)).action == "start"


def test_a_newer_timeline_in_the_archive_forbids() -> None:
    found = verdict(repository=Repository(successor_timeline=3))
    assert found.action == "refuse"
    assert "timeline 3" in found.reason


def test_a_newer_timeline_that_no_peer_is_on_is_abandoned() -> None:
    """Somebody kept the older of two primaries; that one must be able to start again."""
    archive = Repository(successor_timeline=3)
    assert verdict(state=peer(), repository=archive).action == "start"
    two = replace(CONFIG, peers=(B, Peer("c", "c")))
    assert decide(two, LOCAL, [peer(), UNREACHABLE], archive).action == "refuse", "the unreachable one may be on it"
    assert decide(two, LOCAL, [peer(), peer(system_identifier="8")], archive).action == "refuse"
    assert decide(two, LOCAL, [peer(), peer(timeline=3)], archive).action == "refuse"
    assert decide(replace(CONFIG, peers=()), LOCAL, [], archive).action == "refuse"


def test_peers_say_after_the_archive_whether_a_timeline_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was promoted between the two questions has put its timeline into the archive."""
    answers = [[peer()], [peer(in_recovery=False, timeline=3)]]
    monkeypatch.setattr(probe, "probe", lambda nodes, timeout: answers.pop(0))
    monkeypatch.setattr(_start_guard, "ask_repository", lambda *_: Repository(successor_timeline=3))
    assert decide(CONFIG, LOCAL, *ask(CONFIG, LOCAL)).action == "refuse"


@pytest.mark.parametrize(
    ("state", "repository"), [(peer(), UNREACHABLE_REPOSITORY), (UNREACHABLE, Repository()), (peer(), None)]
)
def test_one_witness_without_objection_is_enough(state: NodeState, repository: Repository | None) -> None:
    assert verdict(state=state, repository=repository).action == "start"


def test_it_waits_while_nobody_can_tell() -> None:
    found = verdict()
    assert found.action == "wait"
    assert "b: no answer in time" in found.reason
    assert "no answer within 10 s" in found.reason


def test_isolated_it_may_be_told_to_start() -> None:
    config = replace(CONFIG, isolated="start")
    assert verdict(config=config).action == "start"
    assert verdict(state=peer(in_recovery=False), config=config).action == "refuse"


def test_the_configuration_leaves_the_node_itself_out() -> None:
    text = json.dumps(
        {
            "node": "a",
            "peers": [{"name": "a", "host": None, "port": 5432}, {"name": "b", "host": "10.0.0.2", "port": 5433}],
            "stanza": "main",
            "repository": False,
            "isolated": "wait",
            "timeout_s": 4,
        }
    )
    assert GuardConfig.from_json(text).peers == (Peer("b", "10.0.0.2", 5433),)


# --- the repository --------------------------------------------------------------------------------------------------

ARCHIVE_INFO = """[db]
db-id=2

[db:history]
1={"db-id":6,"db-version":"16"}
2={"db-id":7,"db-version":"17"}
"""


class Reader(RepositoryReader):
    """A repository held in memory; a path that is None fails as one that cannot be reached."""

    def __init__(self, files: dict[str, str | None]) -> None:
        super().__init__("main")
        self.files: dict[str, str | None] = {"archive/main/archive.info": ARCHIVE_INFO, **files}

    def get(self, path: str, timeout: float = 10, raw: bool = False) -> str | None:
        if path in self.files and self.files[path] is None:
            raise RelevoError("pgbackrest repo-get failed with 49: unable to connect")
        return self.files.get(path)

    def names(self, path: str, timeout: float = 10, below: str | None = None) -> list[str]:
        return sorted(name.rpartition("/")[2] for name in self.files if name.startswith(f"{path}/0"))


def history(timeline: int, text: str) -> dict[str, str | None]:
    return {f"archive/main/17-2/{timeline:08X}.history": text}


def test_the_archive_of_this_cluster_is_found_by_its_system_identifier() -> None:
    assert archive_id(ARCHIVE_INFO, "7") == "17-2"
    assert archive_id(ARCHIVE_INFO, "99") is None


def test_a_timeline_that_descends_wherever_it_forks() -> None:
    assert newer_timeline(Reader(history(3, "1\t0/3000000\tx\n\n2\t0/5000000\tx\n")), LOCAL) == 3


def test_a_grandchild_counts() -> None:
    files = {**history(3, "1\t0/3000000\tx\n"), **history(4, "1\t0/3000000\tx\n2\t0/5000000\tx\n3\t0/6000000\tx\n")}
    assert newer_timeline(Reader(files), LOCAL) == 4


def test_a_branch_off_an_ancestor_does_not_descend() -> None:
    assert newer_timeline(Reader(history(3, "1\t0/3000000\tx\n")), LOCAL) is None


def test_its_own_and_older_histories_are_no_successors() -> None:
    assert newer_timeline(Reader(history(2, "1\t0/3000000\tx\n")), LOCAL) is None


def test_no_archive_yet_is_an_answer() -> None:
    reader = Reader({})
    del reader.files["archive/main/archive.info"]
    assert ask_repository(CONFIG, LOCAL, reader) == Repository()


def test_the_record_of_a_fence_is_found() -> None:
    found = ask_repository(CONFIG, LOCAL, Reader({"relevo/fence/a.json": FENCE.to_json()}))
    assert found.fence == FENCE


def test_a_garbled_record_forbids_and_an_empty_one_is_withdrawn() -> None:
    garbled = ask_repository(CONFIG, LOCAL, Reader({"relevo/fence/a.json": "{"})).fence
    assert garbled is not None
    assert garbled.in_force(99)
    assert ask_repository(CONFIG, LOCAL, Reader({"relevo/fence/a.json": "\n"})).fence is None


@pytest.mark.parametrize("path", ["relevo/fence/a.json", "archive/main/archive.info"])
def test_an_error_is_no_answer(path: str) -> None:
    found = ask_repository(CONFIG, LOCAL, Reader({path: None}))
    assert found.error is not None
    assert "unable to connect" in found.error


# --- saying ----------------------------------------------------------------------------------------------------------


def test_a_verdict_is_said_once_and_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_start_guard, "record_status", lambda *_arguments: None)
    log, waiting = VerdictLog(tmp_path), Verdict("wait", "nobody answers", "Start somebody.")

    def lines() -> int:
        return len(capsys.readouterr().err.splitlines())

    log.say("a", waiting)
    assert lines() == 1
    log.say("a", waiting)
    assert lines() == 0
    clock[0] += _start_guard.REMIND_AFTER
    log.say("a", waiting)
    assert lines() == 1
    log.say("a", Verdict("refuse", "b is the primary"))
    assert lines() == 1


def test_the_verdict_is_left_for_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_start_guard, "write_file", lambda path, content: path.write_text(content))
    VerdictLog(tmp_path).say("a", Verdict("wait", "nobody answers", "Start somebody."))
    found = json.loads((tmp_path / _names.GUARD_STATUS.name).read_text())
    assert (found["node"], found["verdict"], found["reason"]) == ("a", "wait", "nobody answers")


def test_an_unusable_configuration_refuses(tmp_path: Path) -> None:
    file = tmp_path / "guard.json"
    file.write_text("{")
    node, found = _start_guard.evaluate(Server(tmp_path), file)
    assert (node, found.action) == ("this node", "refuse")
    assert "site.yml" in found.advice


def test_it_loads_the_database_library_only_to_ask_a_witness() -> None:
    """Loading psycopg takes longer than all else that the guard does for a standby."""
    module = _start_guard.__name__
    code = f"import sys, {module}; sys.exit('psycopg' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize("standby", [True, False])
def test_a_restore_in_place_keeps_everybody_down(standby: bool) -> None:
    restore = Marker("restore", "a", "alice", "today", "b", reason="restore.yml -e to=cluster")
    local = replace(LOCAL, standby=standby, restore=restore, start_pass=True)
    verdict = decide(CONFIG, local, [], Repository())
    assert verdict.action == "refuse"
    assert verdict.reason == "the cluster is being restored in place (by alice at today)"
    assert verdict.advice == "Finish it: restore.yml -e to=cluster"
