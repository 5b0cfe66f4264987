# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that only look: in check mode where they are plans, and in folders that no other process removes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from cluster import wait_until
from fastapi.testclient import TestClient
from relevo_api.app import make_app
from relevo_api.files import read_json, try_lock, write_json
from relevo_api.jobs import spawn
from relevo_api.nodes import Watcher
from relevo_api.operations import BACKUPS, OPERATIONS, STATUS
from relevo_api.plays import Request
from relevo_api.problems import ProblemError
from relevo_api.service import Service
from relevo_api.settings import Cluster, Runner, Settings
from relevo_api.tokens import Tokens
from relevo_api.views import LOCK, Answer, Views, end, own_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "catalog_check.yml").touch()
    return Settings.model_validate(
        {
            "state_directory": tmp_path,
            "playbooks": tmp_path,
            "project_directory": "/x",
            "backend": {"kind": "runner", "ansible_playbook": "/x", "inventory": []},
            "clusters": [],
            "check_s": 0.01,
        }
    )


class Ended:
    def wait(self) -> int:
        return 0


@pytest.fixture
def started() -> Iterator[list[Popen[bytes]]]:
    """Processes that a test has started, and that should not live when it has ended."""
    processes: list[Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def never_ending(started: list[Popen[bytes]], command: str) -> Callable[..., Popen[bytes]]:
    """In place of ``spawn``."""

    def spawned(_settings: Path, _folder: Path) -> Popen[bytes]:
        started.append(Popen(["sh", "-c", command], stdout=PIPE))
        output = started[-1].stdout
        assert output is not None
        assert output.readline()
        return started[-1]

    return spawned


def test_a_service_that_ends_waits_for_no_play_that_looks(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Popen[bytes]]
) -> None:
    monkeypatch.setattr("relevo_api.views.spawn", never_ending(started, "echo begun; exec sleep 30"))
    views = Views(settings, tmp_path / "settings.json")

    async def cut_short() -> None:
        task = asyncio.create_task(views.get(STATUS, "main", 0))
        while not started:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    # It returns when each of its threads has.
    asyncio.run(cut_short())
    assert [process.returncode for process in started] == [-signal.SIGTERM]
    assert [path for path in views.directory.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("echo begun; exec sleep 30", signal.SIGTERM),
        ("trap '' TERM; echo begun; while :; do sleep 0.1; done", signal.SIGKILL),
    ],
)
def test_a_play_that_takes_too_long_is_ended(
    command: str,
    number: signal.Signals,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[Popen[bytes]],
) -> None:
    monkeypatch.setattr("relevo_api.views.spawn", never_ending(started, command))
    monkeypatch.setattr("relevo_api.views.LONGEST_S", 0.1)
    monkeypatch.setattr("relevo_api.views.ENDING_S", 0.5)
    views = Views(settings, tmp_path / "settings.json")
    with pytest.raises(ProblemError, match=r"status.yml did not end within 0.1 s") as refused:
        asyncio.run(views.get(STATUS, "main", 0))
    assert refused.value.problem.status == 503
    assert [process.wait(10) for process in started] == [-number]


def test_the_process_of_a_play_that_is_told_to_end_ends_the_play(
    settings: Settings, tmp_path: Path, started: list[Popen[bytes]]
) -> None:
    playbook = tmp_path / "endless.yml"
    wait = {"ansible.builtin.wait_for": {"timeout": 600}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [wait]}
    playbook.write_text(json.dumps([play]))
    runner = Runner(ansible_playbook=Path(sys.executable).with_name("ansible-playbook"), inventory=["localhost,"])
    file, folder = tmp_path / "settings.json", tmp_path / "play"
    file.write_text(settings.model_copy(update={"backend": runner, "project_directory": tmp_path}).model_dump_json())
    folder.mkdir()
    write_json(folder / "request.json", Request("endless.yml").as_dict())

    def playing() -> list[bytes]:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        return [line for line in lines if b"ansible-playbook" in line and bytes(playbook) in line]

    started.append(spawn(file, folder))
    wait_until(lambda: "PLAY [" in log_of(folder), "the play to begin", 60)
    assert playing(), log_of(folder)
    end(started[0])
    assert started[0].wait() == 0
    assert read_json(folder / "outcome.json")["succeeded"] is False
    wait_until(lambda: not playing(), "the play to end", 10)


def log_of(folder: Path) -> str:
    path = folder / "log.txt"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_plan_is_made_in_check_mode(
    operation: Any, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def spawned(_settings: Path, folder: Path) -> Ended:
        seen.append(read_json(folder / "request.json"))
        write_json(folder / "outcome.json", {"failure": None, "document": {"version": 1}, "text": ""})
        return Ended()

    monkeypatch.setattr("relevo_api.views.spawn", spawned)
    views = Views(settings, tmp_path / "settings.json")
    assert asyncio.run(views.plan(operation, "main", {})) == {"version": 1}
    asyncio.run(views.get(STATUS, "main", 0))
    assert [one["check"] for one in seen] == [True, False]


@pytest.mark.parametrize(
    ("task", "document", "shown"),
    [(BACKUPS.last, [{"clave": "one"}], True), (BACKUPS.last, None, False), ("Look at the backups", [], False)],
)
def test_the_backups_are_shown_while_a_second_repository_is_away(
    task: str, document: Any, shown: bool, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status names it; the list of the other one is no worse for that."""
    failure = {"sentence": "Repository 2: No route.", "task": task, "holders": [], "unreachable": False}

    def spawned(_settings: Path, folder: Path) -> Ended:
        write_json(folder / "outcome.json", {"failure": failure, "document": document, "text": ""})
        return Ended()

    monkeypatch.setattr("relevo_api.views.spawn", spawned)
    views = Views(settings, tmp_path / "settings.json")
    if shown:
        assert asyncio.run(views.get(BACKUPS, "main", 0)).document == document
        return
    with pytest.raises(ProblemError, match="Repository 2: No route"):
        asyncio.run(views.get(BACKUPS, "main", 0))


def test_the_task_whose_failure_shows_the_rest_is_the_role_s_own() -> None:
    tasks = Path(__file__).resolve().parents[2] / "roles" / "catalog" / "tasks" / "each_repository.yml"
    assert f"- name: {BACKUPS.last}\n" in tasks.read_text()


def test_the_folder_of_another_process_stays_and_what_a_dead_one_left_goes(tmp_path: Path) -> None:
    views = tmp_path / "views"
    (views / "dead").mkdir(parents=True, mode=0o700)
    living = own_folder(views)
    number = try_lock(living / LOCK)
    assert number is None, "the process does not hold its own folder"
    (living / "request.json").touch()
    mine = own_folder(views)
    assert {path.name for path in views.iterdir() if path.is_dir()} == {living.name, mine.name}
    assert (living / "request.json").exists()
    assert mine.stat().st_mode & 0o077 == 0


def test_a_check_that_fails_leaves_what_was_seen_last_and_is_asked_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(settings, tmp_path / "settings.json")
    said: list[Any] = ["relevo_check_timestamp_seconds 1", OSError("No space left on device"), "", "newer"]

    async def outcome(*_arguments: Any) -> dict[str, Any]:
        kept.append(service.backup_metrics)
        if not said:
            raise asyncio.CancelledError
        word = said.pop(0)
        if isinstance(word, Exception):
            raise word
        return {"text": word}

    kept: list[str] = []
    monkeypatch.setattr(service.views, "outcome", outcome)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(service.check_backups())
    assert kept == ["", *["relevo_check_timestamp_seconds 1"] * 3, "newer"]


def test_a_watcher_that_cannot_be_read_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relevo_api.nodes.PAUSE_S", 0)
    watcher = Watcher(["true"], fresh_s=3)
    problems: list[str] = []

    async def once() -> None:
        problems.append(watcher.problem)
        if len(problems) > 2:
            raise asyncio.CancelledError
        raise ValueError("Separator is not found")

    monkeypatch.setattr(watcher, "_once", once)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watcher.run())
    assert problems[1:] == ["The watcher could not be read: Separator is not found."] * 2


@pytest.mark.parametrize(("max_age", "after", "plays"), [(10, 9.0, 1), (10, 11.0, 2), (3600, 11.0, 1), (0, 0.5, 2)])
def test_an_answer_is_asked_for_anew_when_it_is_too_old(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_age: float, after: float, plays: int
) -> None:
    now, seen = [100.0], []

    async def run(_self: Views, _playbook: str, _variables: dict[str, Any], _cluster: str, **_more: Any) -> int:
        seen.append(now[0])
        return len(seen)

    monkeypatch.setattr("relevo_api.views.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Views, "run", run)
    views = Views(settings, tmp_path / "settings.json")

    async def twice() -> tuple[Answer, Answer]:
        first = await views.get(STATUS, "main", max_age)
        now[0] += after
        return first, await views.get(STATUS, "main", max_age)

    first, second = asyncio.run(twice())
    assert (first.document, second.document) == (1, plays)
    assert second.age_s == (after if plays == 1 else 0)


def client_of(settings: Settings) -> TestClient:
    """Without its lifespan: nothing is watched, and no play is started but what a test has put in its place."""
    one = Cluster(name="main", nodes=[])
    app = make_app(settings.model_copy(update={"clusters": [one]}), settings.state_directory / "settings.json")
    token = Tokens(settings.tokens_file).make("ana", "read")
    return TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})


CATALOG = [
    {"fecha": day, "hora": hour, "tipo_backup": kind, "maestro_usado": primary, "etiqueta": label}
    for day, hour, kind, primary, label in (
        ("2026-11-01", "03:00:00", "completo", "a", "1"),
        ("2026-11-02", "03:00:00", "incremental", "b", "2"),
        ("2026-11-03", "03:00:00", "diferencial", "a", "3"),
        ("2026-11-03", "09:00:00", "completo", "b", "4"),
    )
]


@pytest.mark.parametrize(
    ("asked", "total", "labels"),
    [
        ("", 4, "4321"),
        ("type=completo", 2, "41"),
        ("primary=a", 2, "31"),
        ("since=2026-11-02", 3, "432"),
        ("before=2026-11-03", 2, "21"),
        ("since=2026-11-02&before=2026-11-03", 1, "2"),
        ("limit=2", 4, "43"),
        ("limit=2&offset=3", 4, "1"),
        ("type=completo&limit=1&offset=1", 2, "1"),
        ("type=none", 0, ""),
    ],
)
def test_the_catalog_is_filtered_and_paged(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, asked: str, total: int, labels: str
) -> None:
    async def run(_self: Views, playbook: str, variables: dict[str, Any], _cluster: str, **_more: Any) -> Any:
        assert (playbook, variables) == ("catalog.yml", {"view": "json", "cluster": "main"})
        return CATALOG

    monkeypatch.setattr(Views, "run", run)
    page = client_of(settings).get(f"/v1/clusters/main/backups?{asked}").json()
    assert (page["total"], "".join(found["etiqueta"] for found in page["items"])) == (total, labels)


def test_the_last_drill_of_each_backup_the_newest_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    drilled = {"1": "2026-11-04T03:00:00Z", "3": "2026-11-06T03:00:00Z", "4": "2026-11-05T03:00:00Z"}

    async def run(*_arguments: Any, **_more: Any) -> Any:
        return [{**one, "verificado": drilled.get(one["etiqueta"], "")} for one in CATALOG]

    monkeypatch.setattr(Views, "run", run)
    (settings.playbooks / "drill.yml").touch()
    client = client_of(settings)
    page = client.get("/v1/clusters/main/drills").json()
    assert (page["total"], [one["etiqueta"] for one in page["items"]]) == (3, ["3", "4", "1"])
    page = client.get("/v1/clusters/main/drills?limit=1&offset=1").json()
    assert (page["total"], [one["etiqueta"] for one in page["items"]]) == (3, ["4"])


def test_the_window_comes_with_its_holes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    window = {"from": "2026-11-01T03:00:00+00:00", "until": "2026-11-26T09:30:00+00:00"}
    problems = [{"code": code} for code in ("archive-hole", "node-down", "archive-hole-past", "archive-failing")]

    async def run(*_arguments: Any, **_more: Any) -> Any:
        return {"problems": problems, "backups": {"recovery_window": window}}

    monkeypatch.setattr(Views, "run", run)
    said = client_of(settings).get("/v1/clusters/main/window").json()
    assert (said["cluster"], said["window"]) == ("main", window)
    assert said["holes"] == [{"code": "archive-hole"}, {"code": "archive-hole-past"}]
    assert 0 <= said["age_s"] < 60
