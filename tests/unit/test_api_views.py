# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that only look: in check mode where they are plans, and in folders that no other process removes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from relevo_api.files import read_json, try_lock, write_json
from relevo_api.nodes import Watcher
from relevo_api.operations import OPERATIONS, STATUS
from relevo_api.service import Service
from relevo_api.settings import Settings
from relevo_api.views import LOCK, Views, own_folder


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
