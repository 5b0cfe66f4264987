"""Work on a disk that never answers: it is left behind, and whoever asked is told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._hung_disk import NoAnswerError, within
from ansible_collections.relevo.postgres.plugins.module_utils._repository import directory, restore_record
from ansible_collections.relevo.postgres.plugins.module_utils._repository.fence_record import REPOSITORY_TIMEOUT
from ansible_collections.relevo.postgres.plugins.module_utils._restore import operation_lock
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until
from ansible_collections.relevo.postgres.plugins.modules import fence_record
from ansible_collections.relevo.postgres.plugins.modules import restore_record as restore_record_module

#: Seconds that nobody waits for.
FOR_EVER = 60.0


def running(process: int) -> bool:
    """Whether it runs; one that has ended and was not asked for its status does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_is_done_in_its_time_is_returned_and_done(tmp_path: Path) -> None:
    def work() -> str:
        (tmp_path / "made").write_text("x" * 300_000)
        return (tmp_path / "made").read_text()

    # More than a pipe holds.
    assert within(10, work, "late") == "x" * 300_000
    assert (tmp_path / "made").exists()


def test_what_it_raises_is_raised_here_as_it_is(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RelevoError("One sentence.", rc=50)

    with pytest.raises(RelevoError) as refused:
        within(10, refuse, "late")
    assert (refused.value.message, refused.value.details) == ("One sentence.", {"rc": 50})
    with pytest.raises(FileNotFoundError) as missing:
        within(10, (tmp_path / "none").read_text, "late")
    assert missing.value.filename == str(tmp_path / "none")
    assert "read_text" in missing.value.__notes__[0], "of a bug the traceback is needed"


def test_what_hangs_is_ended_and_said(tmp_path: Path) -> None:
    def hang() -> None:
        (tmp_path / "process").write_text(str(os.getpid()))
        time.sleep(FOR_EVER)

    began = time.monotonic()
    with pytest.raises(NoAnswerError, match="^too late$"):
        within(0.5, hang, "too late")
    assert time.monotonic() - began < 5
    # It was killed, so it is not waited for to its own end.
    child = int((tmp_path / "process").read_text())
    wait_until(lambda: not running(child), "the end of the process that was left behind", 10)


def test_one_that_was_killed_by_somebody_else_is_not_taken_for_an_answer() -> None:
    with pytest.raises(RelevoError, match="ended from outside"):
        within(10, lambda: os.kill(os.getpid(), 9), "late")


def test_nobody_waits_for_the_output_of_one_that_is_left_behind() -> None:
    """Whoever runs a module over SSH or an engine waits until nobody has its output open."""
    where = within(10, lambda: [str(Path(f"/proc/self/fd/{stream}").readlink()) for stream in (0, 1, 2)], "late")
    assert where == [os.devnull] * 3


# --- who works in the repository's directory --------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of a repository host whose directory hangs: no path in it is told to be anything."""
    path = tmp_path / "pgbackrest.conf"
    path.write_text(f"[global]\nrepo1-path={tmp_path}/mount\n")
    monkeypatch.setattr(directory, "ANSWERS_WITHIN", 0.3)
    for name in ("is_dir", "exists", "read_text", "unlink", "mkdir", "glob"):
        known = getattr(Path, name)

        def hang(self: Path, *given: Any, known: Any = known, **more: Any) -> Any:
            if "mount" in self.parts:
                time.sleep(FOR_EVER)
            return known(self, *given, **more)

        monkeypatch.setattr(Path, name, hang)
    return path


def module_with(config: Path, check_mode: bool = False, **params: Any) -> Any:
    return SimpleNamespace(params={"config": str(config), **params}, check_mode=check_mode)


@pytest.mark.parametrize("state", ["present", "absent", "tried"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_fence_record_is_not_waited_for_without_end(config: Path, state: str, check_mode: bool) -> None:
    asked = module_with(config, check_mode, nodes=["a"], state=state, content="{}")
    with pytest.raises(NoAnswerError) as refused:
        fence_record.work(asked)
    said = refused.value.message
    assert f"directory {config.parent}/mount on {os.uname().nodename} has not answered within 0.3 s" in said
    assert f"timeout 5 stat -f {config.parent}/mount" in said
    assert said.endswith("then run this again.")


@pytest.mark.parametrize("state", ["read", "absent"])
def test_the_record_of_a_restore_is_not_either(config: Path, state: str) -> None:
    with pytest.raises(NoAnswerError, match="has not answered within"):
        restore_record_module.work(module_with(config, cluster="main", state=state))


def test_the_lock_is_not_given_where_nobody_knows_whether_a_restore_is_under_way(config: Path) -> None:
    with pytest.raises(NoAnswerError, match="has not answered within"):
        operation_lock.require_no_restore("failover", ["main"], config)
    operation_lock.require_no_restore("restore", ["main"], config)


def test_what_is_known_of_the_servers_is_said_all_the_same(config: Path) -> None:
    restore_record.refuse_while_restoring(["a"], config)


def test_a_directory_that_answers_is_read_as_ever(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(f"[global]\nrepo1-path={tmp_path}\n")
    record = restore_record.RestoreRecord("main", tmp_path)
    record.path.parent.mkdir(parents=True)
    begun = restore_record.Unfinished("main", "a", "alice", "2026-11-28T10:00:00Z", "restore.yml -e to=cluster")
    record.path.write_text(json.dumps(begun.as_dict()))
    with pytest.raises(RelevoError, match="is being restored in place") as refused:
        operation_lock.require_no_restore("failover", ["main"], config)
    assert refused.value.details["unfinished_restore"]["cluster"] == "main"
    with pytest.raises(RelevoError, match="is being restored in place"):
        restore_record.refuse_while_restoring(["a"], config)


def test_the_deadline_is_the_start_guards() -> None:
    assert directory.ANSWERS_WITHIN == REPOSITORY_TIMEOUT
