"""A restart that takes new settings into use, or takes them back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import (
    recovery,
    restart,
    server_log,
    standby_minimum,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.configuration_trial import Fault

NEW = "max_connections = '50'\nshared_buffers = '900GB'\ninclude_dir = 'conf.d'\n"
BEFORE = {"shared_buffers": "128MB", "jit": None}


class FakeServer:
    """A server whose postmaster is seen as ``pids`` one after the other; it answers once ``answering`` is seen."""

    def __init__(self, pgdata: Path, pids: list[int | None], answering: int | None = None) -> None:
        self.pgdata, self.pids, self.answering = pgdata, pids, answering
        self.pid: int | None = None

    def postmaster_pid(self) -> int | None:
        self.pid = self.pids.pop(0) if len(self.pids) > 1 else self.pids[0]
        return self.pid

    def answers(self) -> bool:
        return self.pid == self.answering


class FakeService:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def dont_restart(self) -> None:
        self.calls.append("dont_restart")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self, timeout: float) -> None:
        del timeout
        self.calls.append("stop")

    def wanted(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    """No consumer holds a stop."""
    monkeypatch.setattr(restart, "_stop", lambda _server, service, timeout: service.stop(timeout) or [])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes a second."""
    seconds = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(restart, "try_start", lambda _server: [])
    monkeypatch.setattr(restart, "in_force", lambda: BEFORE)
    monkeypatch.setattr(server_log, "sizes", dict)
    monkeypatch.setattr(server_log, "last_complaint", lambda **_since: "")
    monkeypatch.setattr(recovery, "how_far", lambda _server: "It is replaying the WAL segment X.")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_names, "CONFIG_FILE", tmp_path / "postgresql.conf")
    monkeypatch.setattr(_names, "GUARD_STATUS", tmp_path / "guard-status.json")
    monkeypatch.setattr(restart, "write_file", lambda path, text, _mode: path.write_text(text))
    _names.CONFIG_FILE.write_text(NEW)
    return tmp_path


@pytest.mark.parametrize(
    ("pids", "answering", "comes"),
    [
        ([1], 1, True),
        # Its guard asks first; the first process ended, and the next one came up.
        ([None, None, 1], 1, True),
        ([1, None, 2], 2, True),
        # It ends each time.
        ([1, None, 2, None, 3, None, 4, None], None, False),
        ([None], None, False),
    ],
)
def test_whether_a_server_comes_up(tmp_path: Path, pids: list[int | None], answering: int | None, comes: bool) -> None:
    assert restart.comes_up(FakeServer(tmp_path, pids, answering), 60) is comes  # type: ignore[arg-type]


def test_one_that_ends_each_time_is_not_waited_for_any_longer(tmp_path: Path) -> None:
    server = FakeServer(tmp_path, [1, None, 2, None, 3, None, 4, *[None] * 40])
    assert not restart.comes_up(server, 30)  # type: ignore[arg-type]
    assert len(server.pids) == 40


def test_one_that_is_still_starting_is_no_reason_to_change_anything(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match=r"still starting after 60 s\. It is replaying the WAL segment X\. Run this"):
        restart.comes_up(FakeServer(tmp_path, [1]), 60)  # type: ignore[arg-type]


def test_one_that_cannot_start_is_known_before_the_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "try_start", lambda _server: [Fault("no memory")])
    server = FakeServer(tmp_path, [*[None] * 30, 1], 1)
    assert not restart.comes_up(server, 600)  # type: ignore[arg-type]


def test_what_a_server_does_not_start_with_is_taken_back(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "postgresql.auto.conf").write_text("shared_buffers = '900GB'\nwork_mem = '5MB'\n")
    monkeypatch.setattr(restart, "try_start", lambda _server: [Fault("could not map memory")])
    server = FakeServer(files, [1, None, 2, None, 3, None, 4, None, 5], 5)
    service = FakeService()
    with pytest.raises(RelevoError, match="with the new jit, shared_buffers: could not map memory. It runs again"):
        restart.restart(server, service, 60)  # type: ignore[arg-type]
    assert service.calls == ["stop", "start"]
    assert _names.CONFIG_FILE.read_text() == NEW.replace("900GB", "128MB")
    assert (files / "postgresql.auto.conf").read_text() == "shared_buffers = '128MB'\nwork_mem = '5MB'\n"


def test_a_server_that_is_down_and_does_not_start_says_why(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "try_start", lambda _server: [Fault("could not map memory")])
    with pytest.raises(RelevoError, match="does not come up: could not map memory"):
        restart.start(FakeServer(files, [None]), FakeService(), 60)  # type: ignore[arg-type]
    assert _names.CONFIG_FILE.read_text() == NEW


@pytest.mark.parametrize(
    ("verdict", "said"), [("wait", "its start guard says that no witness answers"), ("start", ""), ("", "")]
)
def test_the_start_guard_may_be_what_keeps_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdict: str, said: str
) -> None:
    monkeypatch.setattr(_names, "GUARD_STATUS", tmp_path / "guard-status.json")
    if verdict:
        status = {"verdict": verdict, "reason": "no witness answers"}
        (tmp_path / "guard-status.json").write_text(json.dumps(status))
    assert restart.guard_says() == said


def test_settings_are_kept_where_the_start_guard_is_what_keeps_it_down(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "guard_says", lambda: "its start guard says no")
    with pytest.raises(RelevoError, match="and is not up: its start guard says no"):
        restart.restart(FakeServer(files, [None]), FakeService(), 60)  # type: ignore[arg-type]
    assert _names.CONFIG_FILE.read_text() == NEW


def test_one_that_comes_up_keeps_its_files(files: Path) -> None:
    restart.restart(FakeServer(files, [1], 1), FakeService(), 60)  # type: ignore[arg-type]
    assert _names.CONFIG_FILE.read_text() == NEW


def test_one_that_does_not_even_come_up_as_before_is_said_with_both_reasons(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_log, "last_complaint", lambda **_since: "PANIC:  broken")
    server = FakeServer(files, [1, None, 2, None, 3, None, 4, None, 5, None, 6, None, 7, None, 8, None])
    with pytest.raises(RelevoError, match=r"\(PANIC:  broken\), nor with the settings that it had before: PANIC"):
        restart.restart(server, FakeService(), 60)  # type: ignore[arg-type]


@pytest.mark.parametrize(("in_place", "needed", "kept"), [({}, {}, []), ({"a": "1"}, {"a": 1}, ["a"])])
def test_a_standby_whose_primary_has_the_greater_values_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_place: dict[str, str], needed: dict[str, int], kept: list[str]
) -> None:
    monkeypatch.setattr(standby_minimum, "in_place", lambda: in_place)
    monkeypatch.setattr(standby_minimum, "needed", lambda _server: needed)
    monkeypatch.setattr(standby_minimum, "bring", lambda _server, _check_mode: False)
    monkeypatch.setattr(restart, "pending_restart", list)
    service = FakeService()
    found = restart.settle(FakeServer(tmp_path, [1]), service, 60, False)  # type: ignore[arg-type]
    assert (found["changed"], found["kept"], service.calls) == (False, kept, [])
