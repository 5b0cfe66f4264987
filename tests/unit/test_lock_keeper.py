# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper of an operation lock lives as long as the play, and says so when it lost it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _lock_keeper
from ansible_collections.relevo.postgres.plugins.plugin_utils._lock_keeper import (
    LockLostError,
    Note,
    PlayProcess,
    UnreachableError,
)

INTERVAL = 0.02


class FakeLink:
    """What each beat meets, one after the other; then the play ends. What each new taking of the lock meets."""

    def __init__(self, beats: list[Exception | None], play: subprocess.Popen[bytes], takes: list[Any] | None = None):
        self.beats, self.play, self.takes = list(beats), play, list(takes or [])
        self.log: list[str] = []

    def beat(self, pipe: str) -> None:
        self.log.append(f"beat {pipe}")
        met = self.beats.pop(0)
        if not self.beats:
            self.play.kill()
            self.play.wait()
        if met is not None:
            raise met

    def take(self) -> dict[str, Any]:
        self.log.append("take")
        met = self.takes.pop(0)
        if isinstance(met, Exception):
            raise met
        return {"pipe": met}

    def end(self, pipe: str) -> None:
        self.log.append(f"end {pipe}")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture(params=[True, False], ids=["pidfd", "no pidfd"])
def play(sleeper: subprocess.Popen[bytes], request: pytest.FixtureRequest) -> PlayProcess:
    made = PlayProcess(sleeper.pid)
    if not request.param:
        made.handle = None
    return made


@pytest.mark.parametrize(
    ("beats", "takes", "log"),
    [
        ([None, None], [], ["beat a", "beat a", "end a"]),
        ([UnreachableError("no route"), TimeoutError(), None], [], ["beat a", "beat a", "beat a", "end a"]),
        ([LockLostError(), None], ["b"], ["beat a", "take", "beat b", "end b"]),
        (
            [LockLostError(), LockLostError(), None],
            [UnreachableError("restarting"), "b"],
            ["beat a", "take", "beat a", "take", "beat b", "end b"],
        ),
    ],
    ids=["to its end", "some beats are lost", "taken again", "taken again when it answers"],
)
def test_it_keeps_the_lock_until_the_play_ends(
    sleeper: subprocess.Popen[bytes],
    play: PlayProcess,
    tmp_path: Path,
    beats: list[Exception | None],
    takes: list[Any],
    log: list[str],
) -> None:
    link = FakeLink(beats, sleeper, takes)
    path = tmp_path / "note"
    note = Note(path)
    _lock_keeper.keep(play, link, note, "a", INTERVAL)
    assert link.log == log
    assert _lock_keeper.kept(path) == ""


def test_it_notes_who_took_the_lock(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    refused = RelevoError("text", holders=[{"sentence": "site.yml by bob works"}])
    link = FakeLink([LockLostError()], sleeper, [refused])
    path = tmp_path / "note"
    note = Note(path)
    _lock_keeper.keep(PlayProcess(sleeper.pid), link, note, "a", INTERVAL)
    assert link.log == ["beat a", "take"]
    assert _lock_keeper.kept(path) == "site.yml by bob works"


def test_a_later_keeper_takes_over(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    link = FakeLink([None] * 9, sleeper)
    path = tmp_path / "note"
    first, second = Note(path), Note(path)
    assert (first.replaced(), second.replaced()) == (True, False)
    _lock_keeper.keep(PlayProcess(sleeper.pid), link, first, "a", INTERVAL)
    assert link.log == []
    assert sleeper.poll() is None


def test_a_play_that_took_none_has_none(tmp_path: Path) -> None:
    assert _lock_keeper.kept(tmp_path / "note") is None


def test_a_keeper_that_was_killed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "note"
    note = Note(path)
    assert _lock_keeper.kept(path) == ""
    os.close(note.handle)
    assert "was killed" in str(_lock_keeper.kept(path))


def test_a_beat_that_hangs_is_given_up() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        _lock_keeper.with_deadline(lambda _pipe: time.sleep(20), "a", seconds=1)
    assert time.monotonic() - started < 5


def test_it_outlives_the_task_that_started_it(tmp_path: Path) -> None:
    """It reports, and goes on; a play that ended by SIGKILL is noticed all the same."""
    seen = tmp_path / "seen"
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        play = PlayProcess(sleeper.pid)
        assert play.handle is not None

        def work(report: Callable[[dict[str, Any]], None]) -> None:
            report({"process": os.getpid(), "session": os.getsid(0)})
            while not play.ended(0.05):
                continue
            seen.write_text("ended")

        answer = _lock_keeper.start(work, {play.handle})
        assert answer["process"] != os.getpid()
        assert answer["session"] != os.getsid(0)
        assert not seen.exists()
        sleeper.kill()
    deadline = time.monotonic() + 5
    while not seen.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_that_ends_before_it_reports_is_an_error() -> None:
    with pytest.raises(RelevoError, match="ended before it held it"):
        _lock_keeper.start(lambda _report: None, set())


def test_a_lock_is_bound_to_the_play_also_when_that_was_killed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent of its task is then the first process of all, which never ends."""
    monkeypatch.setattr(os, "getppid", lambda: 1)
    for suffix in ("aydl8a93", "75imigoz"):
        directory = f"/root/.ansible/tmp/ansible-local-27966{suffix}"
        monkeypatch.setattr(_lock_keeper, "constants", SimpleNamespace(DEFAULT_LOCAL_TMP=directory))
        assert _lock_keeper.play_process() == 27966
    monkeypatch.setattr(_lock_keeper, "constants", SimpleNamespace(DEFAULT_LOCAL_TMP="/elsewhere"))
    assert _lock_keeper.play_process() == 1
