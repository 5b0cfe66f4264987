# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lock of pgBackRest, and how long a command waits for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.lock_holder import holder
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import Finished, PgBackRest

BUSY = "Resource temporarily unavailable\n       HINT: is another pgBackRest process running?"
PUSHES, ENDS = "bring that one back", "Run this again when it has ended"


def locked(path: Path | str, where: str = "") -> str:
    host = f"raised from remote-0 tls protocol on '{where}': " if where else ""
    return f"ERROR: [050]: {host}unable to acquire lock on file '{path}': {BUSY}"


@pytest.mark.parametrize(
    ("kind", "command", "name", "advice"),
    [
        (
            "archive",
            ["pgbackrest", "server"],
            "a server's archive-push (process 7 of pgBackRest's server here)",
            PUSHES,
        ),
        (
            "archive",
            ["pgbackrest", "--a=b", "archive-push:async", "/wal"],
            "pgbackrest archive-push (process 7)",
            PUSHES,
        ),
        ("archive", ["pgbackrest", "stanza-create"], "pgbackrest stanza-create (process 7)", ENDS),
        ("backup", ["pgbackrest", "--repo=2", "backup"], "pgbackrest backup (process 7)", ENDS),
        ("backup", ["pgbackrest", "server"], "a command of another host (process 7 of pgBackRest's server here)", ENDS),
        ("backup", ["vim"], "another pgBackRest command", ENDS),
        ("backup", None, "another pgBackRest command", ENDS),
    ],
)
@pytest.mark.parametrize("number", ["-1", ""])
def test_it_is_named_by_what_it_runs(
    tmp_path: Path, kind: str, command: list[str] | None, name: str, advice: str, number: str
) -> None:
    """Before 2.54 the lock's file had no number."""
    lock = tmp_path / f"my-shop-{kind}{number}.lock"
    lock.write_text(json.dumps({"execId": "1-a", "pid": 7}))
    if command:
        (tmp_path / "7").mkdir()
        (tmp_path / "7/cmdline").write_bytes("\0".join([*command, ""]).encode())
    found = holder(locked(lock), tmp_path)
    assert (found.name, advice in found.advice) == (name, True)


@pytest.mark.parametrize("content", ["", "7\n", "[]", "{}", '{"pid": null}', None])
def test_a_file_that_says_nothing_is_nobody(tmp_path: Path, content: str | None) -> None:
    lock = tmp_path / "main-archive-1.lock"
    if content is not None:
        lock.write_text(content)
    assert holder(locked(lock), tmp_path).name == "another pgBackRest command"
    assert holder("ERROR: [050]: some other text", tmp_path).name == "another pgBackRest command"


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [("archive", "archive-push on db2", PUSHES), ("backup", "another pgBackRest command on db2", ENDS)],
)
def test_of_another_host_its_name_is_known(tmp_path: Path, kind: str, name: str, advice: str) -> None:
    found = holder(locked(f"/tmp/pgbackrest/main-{kind}-1.lock", "db2"), tmp_path)
    assert (found.name, advice in found.advice) == (name, True)


def ends(monkeypatch: pytest.MonkeyPatch, *texts: str) -> dict[str, Any]:
    """A command that ends with these messages, one after the other, the last one again and again; how it was run."""
    left, seen = list(texts), {}

    def run(*_arguments: Any, **options: Any) -> Finished:
        seen.update(options)
        text = left.pop(0) if len(left) > 1 else left[0]
        return Finished(50 if "[050]" in text else 0, "", text, 0.1)

    monkeypatch.setattr(PgBackRest, "try_run", run)
    return seen


def test_a_command_waits_for_the_lock_and_then_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = ends(monkeypatch, locked("/tmp/pgbackrest/main-archive-1.lock", "db2"), "")
    PgBackRest("main").run_when_free("stanza-delete", timeout=5, takes=3600, level="info")
    assert seen == {"timeout": 3600, "level": "info"}


def test_it_does_not_wait_for_ever_and_says_for_whom_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, locked("/tmp/pgbackrest/main-archive-1.lock", "db2"))
    with pytest.raises(RelevoError) as raised:
        PgBackRest("main").run_when_free("stanza-delete", timeout=0.1)
    assert raised.value.message == (
        "Timed out after 0.1 s waiting for the lock of stanza main, which is held by archive-push on db2. It pushes "
        "for as long as a repository hangs (status.yml, repository-away): bring that one back, or stop it so that it "
        "refuses, then run this again."
    )


def test_a_lock_that_may_not_be_opened_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(
        monkeypatch,
        "ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main-backup-1.lock': Permission denied",
    )
    with pytest.raises(RelevoError, match="may not read or write a file"):
        PgBackRest("main").run_when_free("expire", timeout=60)


def test_whoever_does_not_wait_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, locked("/tmp/pgbackrest/main-backup-1.lock", "db2"))
    with pytest.raises(RelevoError, match=r"stanza main is held by another pgBackRest command on db2\. Run this again"):
        PgBackRest("main").run("backup")
