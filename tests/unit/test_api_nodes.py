# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What load balancers are told: Patroni's paths, answered from what the watcher last said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from answers import primary, standby, unreachable
from relevo_api.nodes import ClusterView, Question, Watcher, answers, lag_limit

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.watch import Eye, WatchedNode, line_of
from ansible_collections.relevo.postgres.plugins.module_utils._server.credentials import Credentials

ROOT = Path(__file__).resolve().parents[2]


def node(name: str, role: str | None, streaming: bool = True, lag: int | None = 0) -> dict[str, Any]:
    return {"name": name, "role": role, "streaming": streaming, "replay_lag_bytes": lag}


def view(*nodes: dict[str, Any]) -> ClusterView:
    return ClusterView("main", list(nodes), [one["name"] for one in nodes if one["role"] == "primary"], 0.0)


HEALTHY = view(node("a", "primary"), node("b", "standby", lag=100), node("c", None))


@pytest.mark.parametrize(
    ("name", "question", "lag", "expected"),
    [
        ("a", "primary", None, True),
        ("a", "replica", None, False),
        ("a", "read-only", None, True),
        ("a", "health", None, True),
        ("b", "primary", None, False),
        ("b", "replica", None, True),
        ("b", "replica", 100, True),
        ("b", "replica", 99, False),
        ("b", "read-only", None, True),
        ("b", "health", None, True),
        ("c", "primary", None, False),
        ("c", "replica", None, False),
        ("c", "read-only", None, False),
        ("c", "health", None, False),
        ("nobody", "health", None, False),
    ],
)
def test_answers(name: str, question: Question, lag: int | None, expected: bool) -> None:
    assert answers(HEALTHY, name, question, lag) is expected


@pytest.mark.parametrize("question", ["primary", "replica", "read-only"])
def test_with_two_primaries_nobody_is_fit_for_anything(question: Question) -> None:
    two = view(node("a", "primary"), node("b", "primary"), node("c", "standby"))
    assert not any(answers(two, name, question) for name in "abc")
    assert answers(two, "a", "health")


def test_a_standby_that_does_not_stream_is_no_replica() -> None:
    alone = view(node("b", "standby", streaming=False, lag=None))
    assert not answers(alone, "b", "replica")
    assert answers(alone, "b", "health")


def test_a_lag_that_is_not_known_is_not_small() -> None:
    assert not answers(view(node("b", "standby", lag=None)), "b", "replica", 10)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0", 0),
        ("100", 100),
        ("10MB", 10 << 20),
        ("1k", 1024),
        ("2 gb", 2 << 30),
        ("x", None),
        ("-1", None),
        ("1x", None),
    ],
)
def test_lag_limit(given: str, expected: int | None) -> None:
    assert lag_limit(given) == expected


def test_what_is_old_is_not_known() -> None:
    now = [0.0]
    watcher = Watcher(["true"], fresh_s=3, clock=lambda: now[0])
    assert watcher.fresh("main") is None
    watcher.take(json.dumps({"cluster": "main", "nodes": [], "primaries": []}).encode())
    now[0] = 3.0
    assert watcher.fresh("main")
    now[0] = 3.1
    assert watcher.fresh("main") is None


@pytest.mark.parametrize("line", [b"", b"no json", b"[]", b'{"cluster": "main"}'])
def test_a_line_that_is_not_understood_changes_nothing(line: bytes) -> None:
    watcher = Watcher(["true"], fresh_s=3)
    watcher.take(line)
    assert watcher.views == {}
    assert "not understood" in watcher.problem


def test_a_line_of_the_watcher() -> None:
    streams = {"status": "streaming", "host": "a", "port": 5432, "slot": "b"}
    line = line_of(
        "main",
        [
            primary("a", "0/5000100"),
            standby("b", "0/5000000", receiver=streams, last_replay_age_s=2.5),
            unreachable("c"),
        ],
    )
    assert line["primaries"] == ["a"]
    assert [one["role"] for one in line["nodes"]] == ["primary", "standby", None]
    a, b, c = line["nodes"]
    assert (a["lsn"], a["timeline"], a["streaming"], a["replay_lag_bytes"]) == ("0/5000100", 1, False, None)
    assert (b["streaming"], b["replay_lag_bytes"], b["lag_seconds"]) == (True, 0x100, 2.5)
    assert c["error"] == "no answer"


def test_an_eye_that_sees_what_nobody_foresaw_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class EndedError(Exception):
        pass

    eye = Eye(WatchedNode("a", "a", "127.0.0.1", 1), Credentials(Path("/x"), Path("/x")))
    looks: list[str | None] = []

    def broken() -> None:
        raise ValueError("no JSON")

    def pause(_seconds: float) -> None:
        looks.append(eye.state().error)
        if len(looks) > 1:
            raise EndedError

    monkeypatch.setattr(eye, "_connect", broken)
    monkeypatch.setattr("time.sleep", pause)
    with pytest.raises(EndedError):
        eye.look()
    assert looks == ["a: no JSON"] * 2


@contextmanager
def watching(tmp_path: Path, clusters: list[dict[str, Any]]) -> Iterator[subprocess.Popen[bytes]]:
    file = tmp_path / "watch.json"
    file.write_text(json.dumps({"passfile": "/x", "authority": "/x", "clusters": clusters}))
    command = [
        sys.executable,
        "-m",
        "ansible_collections.relevo.postgres.plugins.module_utils._cluster.watch",
        str(file),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_watcher_that_can_say_nothing_more_ends(tmp_path: Path) -> None:
    with watching(tmp_path, [{"name": "main", "nodes": [{"what": "is this"}]}]) as process:
        assert process.wait(60) == 1


def test_a_watcher_ends_with_who_started_it(tmp_path: Path) -> None:
    node = {"name": "a", "host": "a", "address": "127.0.0.1", "port": 1}
    with watching(tmp_path, [{"name": "main", "nodes": [node]}]) as process:
        assert process.stdout
        assert process.stdin
        assert json.loads(process.stdout.readline())["cluster"] == "main"
        process.stdin.close()
        assert process.wait(60) == 0
