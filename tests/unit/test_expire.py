# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest is asked for when backups are removed, and when the repository is half of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import OTHERS_PUSH
from ansible_collections.relevo.postgres.plugins.module_utils._repository.cleanup import (
    CleanupRequest,
    Holdings,
    Removal,
    describe,
    removal,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.expire import (
    LOCK_TIMEOUT,
    holdings,
    remove_everything,
    thin_out,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import Finished, PgBackRest

SEGMENT = "000000010000000000000007"
FILES = {
    "backup/main": '{"20261124-030000F/backup.manifest": {"type": "file", "size": 5}}',
    "archive/main": f'{{"17-1/0000000100000000/{SEGMENT}-{"a" * 40}.zst": {{"type": "file", "size": 16}}}}',
}
RESET = [f"--reset-repo1-retention-{name}" for name in ("diff", "archive", "archive-type")]


class Repository(PgBackRest):
    """A repository whose ``info`` has a status; what it is asked to run is written down."""

    def __init__(self, directory: Path, code: int, backups: int = 0, held: bool = False) -> None:
        config = directory / "pgbackrest.conf"
        config.write_text(f"[global]\nrepo1-path={directory}/repo\nrepo1-retention-full=2\n")
        super().__init__("main", config)
        status = {"code": code, "message": "", "lock": {"backup": {"held": held}}}
        listed = [{"label": f"{number}F", "type": "full"} for number in range(1, backups + 1)]
        self.entry: dict[str, Any] = {"name": "main", "backup": listed, "db": [], "status": status}
        self.ran: list[list[str]] = []
        self.waited: dict[str, float] = {}

    def info(self, timeout: float = 30) -> dict[str, Any]:
        return self.entry

    def read(self, command: str, *options: str, path: str, timeout: float) -> Finished:
        return Finished(0, FILES[path], "", 0.0)

    def run(self, command: str, *options: str, **_more: Any) -> Finished:
        if command == "expire" and self.entry["status"]["lock"]["backup"]["held"]:
            raise RelevoError("A backup holds the lock.")
        self.ran.append([command, *options])
        return Finished(0, "", "", 0.0)

    def run_when_free(self, command: str, *options: str, timeout: float, **_more: Any) -> Finished:
        self.waited[command] = timeout
        return self.run(command, *options)

    def reachable(self, timeout: float = 5, down: Any = ()) -> tuple[list[str], list[str]]:
        return [], []

    @property
    def commands(self) -> list[str]:
        return [command for command, *_options in self.ran]


def test_all_finishes_a_deletion_that_was_cut_off(tmp_path: Path) -> None:
    half = Repository(tmp_path, code=3)
    found = holdings(half, operation="all")
    request = CleanupRequest("all", "main", confirm="main")
    planned = removal(request, found)
    plan = describe(request, found, planned)
    assert (plan.action, plan.refusals) == ("all", [])
    assert (planned.backup_bytes, planned.wal_bytes, planned.segments) == (5, 16, 1)
    remove_everything(half, 10)
    assert half.commands == ["stop", "stanza-delete", "start", "stanza-create", "check"]
    # Both want the lock that a server holds for as long as it pushes.
    assert half.waited == dict.fromkeys(("stanza-delete", "stanza-create"), OTHERS_PUSH)


def test_archiving_starts_again_when_the_lock_is_not_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop file that stays would stop the archiving to both."""
    half = Repository(tmp_path, code=0)

    def held(*_arguments: Any, **_options: Any) -> Finished:
        raise RelevoError("The lock is held.")

    monkeypatch.setattr(half, "run_when_free", held)
    with pytest.raises(RelevoError, match="The lock is held"):
        remove_everything(half, 10)
    assert half.commands == ["stop", "start"]


@pytest.mark.parametrize(("line", "seconds"), [("", 60), ("archive-timeout=240\n", 240), ("archive-timeout=9\n", 60)])
def test_a_segment_has_as_long_as_a_backup_gives_it(tmp_path: Path, line: str, seconds: int) -> None:
    """Over a minute with a second repository that hangs."""
    fake = Repository(tmp_path, code=0)
    with fake.config.open("a") as config:
        config.write(line)
    remove_everything(fake, 10)
    assert fake.ran[-1] == ["check", f"--archive-timeout={seconds}"]


@pytest.mark.parametrize("operation", ["", "show", "keep", "retention", "orphans"])
def test_nothing_else_takes_a_half_repository_for_one(tmp_path: Path, operation: str) -> None:
    with pytest.raises(RelevoError, match="The repository of stanza main is not in order"):
        holdings(Repository(tmp_path, code=3), operation=operation)


def test_no_record_goes_where_the_repository_may_not_be_mounted(tmp_path: Path) -> None:
    away = holdings(Repository(tmp_path, code=1), operation="orphans")
    planned = removal(CleanupRequest("orphans", "main"), Holdings([], exists=away.exists, orphans=["backup:a"]))
    assert planned.records == []
    assert "disk is mounted" in planned.refusals[0]


def test_all_makes_no_stanza_where_the_disk_may_not_be_mounted(tmp_path: Path) -> None:
    request, away = CleanupRequest("all", "main", confirm="main"), Repository(tmp_path, code=1)
    (tmp_path / "repo").mkdir()
    assert "disk is mounted" in removal(request, holdings(away)).refusals[0]
    # As stanza-delete leaves it.
    (tmp_path / "repo" / "archive").mkdir()
    assert removal(request, holdings(away)).refusals == []
    away.config.write_text("[global]\nrepo1-type=s3\n")
    assert removal(request, holdings(away)).refusals == []


def test_while_a_backup_runs_nobody_asks_for_its_lock(tmp_path: Path) -> None:
    assert holdings(Repository(tmp_path, code=0, backups=1, held=True)).running
    idle = Repository(tmp_path, code=0, backups=1)
    assert not holdings(idle).running
    assert idle.commands == ["expire"]
    assert idle.waited == {"expire": LOCK_TIMEOUT}


@pytest.mark.parametrize("stays", [{}, {"1F": "is pinned"}])
def test_keep_removes_no_more_than_its_plan_whatever_is_configured(tmp_path: Path, stays: dict[str, str]) -> None:
    fake = Repository(tmp_path, code=0)
    thin_out(fake, Removal("keep", backups=["2F"], roots=["2F"], fulls_left=2, stays=stays), 10)
    assert len(fake.ran) == 1 + len(stays)
    assert all(set(RESET) <= set(options) for options in fake.ran)
    assert fake.ran[-1][:3] == ["expire", "--repo1-retention-full-type=count", "--repo1-retention-full=2"]


def test_retention_is_the_configured_one(tmp_path: Path) -> None:
    fake = Repository(tmp_path, code=0)
    thin_out(fake, Removal("retention", fulls_left=2), 10)
    assert fake.ran == [["expire"]]
    assert fake.waited == {"expire": LOCK_TIMEOUT}
