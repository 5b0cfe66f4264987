# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full backups that end a restore in place, one in each repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.backup import (
    BackupMade,
    BackupRequest,
    is_busy,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import Finished, PgBackRest
from ansible_collections.relevo.postgres.plugins.modules import restore_backup

ORDER, EARLIER = "2026-11-26T13:00:00.000+00:00", "2026-11-25T13:00:00.000+00:00"
BUSY = RelevoError("A backup of stanza main is already running.", rc=50)


def lacks(number: int, reason: str) -> dict[str, Any]:
    return {"repository": number, "reason": reason}


class Trial:
    """Repositories of a host, and what is asked of them."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.directory = directory
        for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if count > 1 else ("pgbackrest.conf",):
            (directory / name).write_text("[global]\n")
        self.held: dict[int, str] = dict.fromkeys(range(1, count + 1), EARLIER)
        self.fails: dict[int, RelevoError] = {}
        self.made: list[tuple[int, BackupRequest]] = []
        self.asked: list[int] = []
        self.silent: list[int] = []
        monkeypatch.setattr(PgBackRest, "require_answer", lambda one, _timeout: self.answer(one.repository))
        monkeypatch.setattr(PgBackRest, "require_stanza", self.entry)
        monkeypatch.setattr(restore_backup, "make_backup", self.make)

    @property
    def entry(self) -> Any:
        def entry(pgbackrest: PgBackRest) -> dict[str, Any]:
            self.asked.append(pgbackrest.repository)
            annotation = {"relevo-restore": self.held[pgbackrest.repository]}
            label = f"{pgbackrest.repository}F"
            return {"backup": [{"label": "0F"}, {"label": label, "annotation": annotation}]}

        return entry

    def answer(self, number: int) -> None:
        if number in self.silent:
            raise RelevoError("It hangs.")

    def make(self, pgbackrest: PgBackRest, request: BackupRequest) -> BackupMade:
        if pgbackrest.repository in self.fails:
            raise self.fails[pgbackrest.repository]
        self.made.append((pgbackrest.repository, request))
        return BackupMade({"label": f"new{pgbackrest.repository}F"}, [], [], False, Finished(0, "", "", 1.0))

    def run(self, *, check_mode: bool = False, away: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
        params = {
            "stanza": "main",
            "config": str(self.directory / "pgbackrest.conf"),
            "order": ORDER,
            "annotations": {"relevo-primary": "a"},
            "away": list(away),
        }
        module: Any = SimpleNamespace(params=params, check_mode=check_mode, warn=lambda _sentence: None)
        return restore_backup.work(module)


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(tmp_path, monkeypatch, 1)


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    return Trial(tmp_path, monkeypatch, 2)


def labels(found: dict[str, Any]) -> dict[int, str]:
    return {backup["repository"]: backup["label"] for backup in found["backups"]}


def test_the_only_one_gets_its_backup_and_the_next_run_finds_it(one: Trial) -> None:
    """That of another restore is not it."""
    found = one.run()
    assert (labels(found), found["away"], found["changed"]) == ({1: "new1F"}, [], True)
    [(_number, request)] = one.made
    assert (request.type, request.annotations) == ("full", {"relevo-primary": "a", "relevo-restore": ORDER})
    one.held[1] = ORDER
    found = one.run()
    assert (labels(found), found["changed"], len(one.made)) == ({1: "1F"}, False, 1)


def test_each_of_two_gets_one(two: Trial) -> None:
    assert labels(two.run()) == {1: "new1F", 2: "new2F"}


def test_a_killed_run_is_finished_with_the_one_that_lacks_it(two: Trial) -> None:
    two.held[1] = ORDER
    found = two.run()
    assert (labels(found), [number for number, _request in two.made]) == ({1: "1F", 2: "new2F"}, [2])


@pytest.mark.parametrize("number", [1, 2])
def test_one_that_fails_is_named_and_in_the_way_of_nothing(two: Trial, number: int) -> None:
    two.fails[number] = RelevoError("No route.")
    found = two.run()
    assert (labels(found), found["away"]) == ({3 - number: f"new{3 - number}F"}, [lacks(number, "No route.")])


def test_one_that_was_found_away_is_not_asked_again(two: Trial) -> None:
    """That took minutes a time."""
    found = two.run(away=[lacks(2, "No route.")])
    assert (labels(found), found["away"], two.asked) == ({1: "new1F"}, [lacks(2, "No route.")], [1])


def test_one_that_does_not_answer_is_asked_for_nothing_else(two: Trial) -> None:
    two.silent = [2]
    found = two.run()
    assert (labels(found), found["away"], two.asked) == ({1: "new1F"}, [lacks(2, "It hangs.")], [1])


def test_where_all_are_said_to_be_away_they_are_asked(two: Trial) -> None:
    found = two.run(away=[lacks(1, "Gone."), lacks(2, "Gone.")])
    assert (labels(found), found["away"]) == ({1: "new1F", 2: "new2F"}, [])


@pytest.mark.parametrize("trial", ["one", "two"])
def test_without_any_it_fails(trial: str, request: pytest.FixtureRequest) -> None:
    there: Trial = request.getfixturevalue(trial)
    there.fails = dict.fromkeys(there.held, RelevoError("No route."))
    with pytest.raises(RelevoError, match="No route"):
        there.run()


@pytest.mark.parametrize("number", [1, 2])
def test_a_backup_that_runs_is_not_one_that_is_away(two: Trial, number: int) -> None:
    """It may be that of a run that was killed, and the next one finds it."""
    two.fails[number] = BUSY
    with pytest.raises(RelevoError, match="already running"):
        two.run()
    # The other one did not have to wait for it.
    assert [made for made, _request in two.made] == [3 - number]


@pytest.mark.parametrize(
    ("code", "text", "busy"),
    [
        (50, "ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main-backup-1.lock'", True),
        (82, "ERROR: [082]: [LockAcquireError] on 1 repository", True),
        # pgBackRest was run as root once: nobody lets go of that.
        (50, "ERROR: [050]: unable to acquire lock on file '/tmp/x.lock': Permission denied", False),
        (55, "ERROR: [055]: unable to load info file", False),
    ],
)
def test_only_a_lock_that_somebody_lets_go_of_is_waited_for(two: Trial, code: int, text: str, busy: bool) -> None:
    two.fails[1] = RelevoError("It failed.", rc=code, stderr=text)
    assert is_busy(two.fails[1]) is busy
    if busy:
        with pytest.raises(RelevoError, match="It failed"):
            two.run()
        return
    found = two.run()
    assert (labels(found), found["away"]) == ({2: "new2F"}, [lacks(1, "It failed.")])


def test_check_mode_makes_none(two: Trial) -> None:
    assert two.run(check_mode=True)["changed"]
    two.held = {1: ORDER, 2: ORDER}
    assert not two.run(check_mode=True)["changed"]
    assert two.made == []
