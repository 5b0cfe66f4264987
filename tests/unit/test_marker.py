"""The fence and rejoin markers, and the start pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker

pytestmark = pytest.mark.usefixtures("own_account")


def fence(timeline: int = 3) -> Marker:
    return Marker.now("fence", node="a", by="alice", successor="b", timeline=timeline, reason="planned")


def test_written_and_read_again(tmp_path: Path) -> None:
    directory = tmp_path / "relevo"
    marker.write(fence(), directory)
    found = marker.read("fence", directory)
    assert found is not None
    assert (found.node, found.by, found.successor, found.timeline, found.reason) == ("a", "alice", "b", 3, "planned")
    assert (directory / "fence.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in directory.iterdir()] == ["fence.json"]


def test_the_kinds_do_not_mix(tmp_path: Path) -> None:
    marker.write(fence(), tmp_path)
    assert marker.read("rejoin", tmp_path) is None


def test_removed_once(tmp_path: Path) -> None:
    marker.write(fence(), tmp_path)
    assert marker.remove("fence", tmp_path) is True
    assert marker.remove("fence", tmp_path) is False
    assert marker.read("fence", tmp_path) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"node": "a"}', '{"node":"a","by":"b","at":"c","timeline":"x"}']
)
def test_a_garbled_marker_forbids(tmp_path: Path, content: str) -> None:
    (tmp_path / "fence.json").write_text(content)
    found = marker.read("fence", tmp_path)
    assert found is not None
    assert found.in_force(99)
    assert "cannot be read" in found.describe()


def test_an_unreadable_marker_forbids(tmp_path: Path) -> None:
    (tmp_path / "fence.json").mkdir()
    found = marker.read("fence", tmp_path)
    assert found is not None
    assert found.in_force(99)


@pytest.mark.parametrize(("timeline", "own", "expected"), [(3, 2, True), (3, 3, True), (3, 4, False), (0, 9, True)])
def test_a_fence_holds_for_the_timeline_that_was_fenced(timeline: int, own: int, expected: bool) -> None:
    assert fence(timeline).in_force(own) is expected


def test_a_rejoin_marker_holds_for_every_timeline() -> None:
    assert Marker.now("rejoin", node="a", by="x", timeline=1).in_force(7)


def test_a_start_pass_of_a_living_process_is_good_once(tmp_path: Path) -> None:
    marker.write_start_pass(tmp_path)
    assert marker.take_start_pass(tmp_path) is True
    assert marker.take_start_pass(tmp_path) is False


def test_a_start_pass_dies_with_its_process(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    given = {"pid": child.pid, "starttime": marker.start_time(child.pid)}
    (tmp_path / marker.START_PASS).write_text(json.dumps(given))
    child.communicate(b"\n")
    assert marker.take_start_pass(tmp_path) is False
    assert not (tmp_path / marker.START_PASS).exists()


def test_a_start_pass_is_not_good_for_another_process_of_the_same_number(tmp_path: Path) -> None:
    (tmp_path / marker.START_PASS).write_text(json.dumps({"pid": os.getpid(), "starttime": "1"}))
    assert marker.take_start_pass(tmp_path) is False


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": "x", "starttime": "1"}'])
def test_a_garbled_start_pass_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / marker.START_PASS).write_text(content)
    assert marker.take_start_pass(tmp_path) is False


def test_a_node_that_was_removed_from_its_cluster_takes_over_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    marker.require_membership("a", tmp_path)
    marker.write(Marker.now("removed", node="a", by="alice"), tmp_path)
    with pytest.raises(RelevoError, match="a was removed from its cluster by alice at .* add_node.yml -e node=a"):
        marker.require_membership("a", tmp_path)
    monkeypatch.setattr(_names, "MARKER_DIR", tmp_path)
    assert "a was removed from its cluster" in marker.answer({"node": "a"})["refusal"]
    marker.path("removed", tmp_path).unlink()
    assert marker.answer({"node": "a"}) == {"refusal": ""}
    marker.write(Marker.now("restore", node="a", by="alice", reason="restore.yml"), tmp_path)
    assert "is being restored in place" in marker.answer({"node": "a"})["refusal"]
