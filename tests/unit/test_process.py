"""Programs beside the database: each ends by its deadline, as another user, in an environment of its own."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

pytestmark = pytest.mark.usefixtures("own_account")

SLEEP = [sys.executable, "-c", "import time; print('x', flush=True); time.sleep(60)"]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
BOTH = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"]
SHOW = [sys.executable, "-c", "import os; print(dict(os.environ))"]


def test_a_question_is_ended_at_its_deadline() -> None:
    with pytest.raises(RelevoError, match="did not end within 0.3 s"):
        _process.run(SLEEP, 0.3)


def test_a_question_has_its_input_and_its_answer() -> None:
    echo = [sys.executable, "-c", "import sys; print(sys.stdin.read().upper(), end='')"]
    assert _process.run(echo, 30, text="año").stdout == "AÑO"
    assert _process.run(echo, 30).stdout == ""


def test_no_variable_of_the_caller_changes_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBACKREST_REPO1_PATH", "/elsewhere")
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("LANG", "es_ES.UTF-8")
    seen = _process.run(SHOW, 30, PGAPPNAME="ours").stdout
    assert "elsewhere" not in seen
    assert "es_ES" not in seen
    assert "'PGAPPNAME': 'ours'" in seen


def test_a_user_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", missing)
    with pytest.raises(RelevoError, match="no system user postgres"):
        _process.run(SHOW, 30)


def test_who_is_not_root_becomes_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(RelevoError, match="must run as postgres"):
        _process.as_user()


def test_root_becomes_the_user_with_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    account = pwd.struct_passwd(("postgres", "x", 4711, 4712, "", "/home", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: account)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", lambda _name, group: [group, 99])
    options = _process.as_user()
    assert (options["user"], options["group"], options["extra_groups"]) == (4711, 4712, [4712, 99])


def test_a_command_is_ended_at_its_deadline() -> None:
    assert _process.run_to_end(SLEEP, timeout=0.3) is None


def test_a_command_that_ignores_the_request_to_end_is_ended_too() -> None:
    assert _process.run_to_end([sys.executable, "-c", STUBBORN], timeout=0.5, grace=0.2) is None


def test_output_code_and_errors_are_kept_apart() -> None:
    done = _process.run_to_end(BOTH, timeout=30)
    assert done is not None
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_copy_holds_the_lock_as_long_as_it_runs(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        see = f"import os; print(os.readlink('/proc/self/fd/{lock.fileno()}'))"
        done = _process.run_with_lock([sys.executable, "-c", see], 30, lock.fileno())
        assert done.stdout.strip() == str(tmp_path / "lock")
        assert "err\n" in _process.run_with_lock(BOTH, 30, lock.fileno()).stdout
        with pytest.raises(RelevoError, match="did not end within 0.3 s"):
            _process.run_with_lock(SLEEP, 0.3, lock.fileno())


COUNT = [sys.executable, "-c", "import sys; print(len(sys.stdin.read()), file=sys.stderr); sys.exit(3)"]


def test_what_is_fed_arrives_whole() -> None:
    def feed(sink: IO[bytes]) -> None:
        sink.write(b"x" * 300_000)
        sink.close()

    done = _process.run_fed(COUNT, feed, 30)
    assert done is not None
    assert (done.returncode, done.stderr) == (3, "300000\n")


def test_what_takes_nothing_is_ended_at_its_deadline() -> None:
    def feed(sink: IO[bytes]) -> None:
        try:
            sink.write(b"x" * 3_000_000)
        except BrokenPipeError:
            return

    started = time.monotonic()
    assert _process.run_fed(SLEEP, feed, 0.3) is None
    assert time.monotonic() - started < 20


def test_a_feed_that_fails_ends_the_program() -> None:
    note = [sys.executable, "-c", "import os, sys, time; print(os.getpid(), flush=True); sys.stdin.read()"]
    seen: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def spy(*positional: object, **named: object) -> subprocess.Popen[bytes]:
        seen.append(start(*positional, **named))  # type: ignore[call-overload]
        return seen[-1]

    def feed(_sink: IO[bytes]) -> None:
        raise RelevoError("the file is broken")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", spy)
        with pytest.raises(RelevoError, match="the file is broken"):
            _process.run_fed(note, feed, 30)
    assert seen[0].poll() is not None


# --- one that waits for a dead disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["run", "run_to_end", "run_with_lock", "run_fed"])
def test_what_cannot_be_ended_is_said_and_not_waited_for(
    way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No signal reaches a program that is in the kernel, as here, where none is sent."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def spy(*positional: object, **named: object) -> subprocess.Popen[bytes]:
        started.append(start(*positional, **named))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(_process, "REAP", 0.1)
    monkeypatch.setattr(subprocess, "Popen", spy)
    with (tmp_path / "lock").open("w") as lock, monkeypatch.context() as deaf:
        deaf.setattr(os, "killpg", lambda *_signal: None)
        deaf.setattr(start, "kill", lambda _self: None)
        calls: dict[str, Callable[[], object]] = {
            "run": lambda: _process.run(SLEEP, 0.1),
            "run_to_end": lambda: _process.run_to_end(SLEEP, 0.1, grace=0.1),
            "run_with_lock": lambda: _process.run_with_lock(SLEEP, 0.1, lock.fileno()),
            "run_fed": lambda: _process.run_fed(SLEEP, lambda _sink: None, 0.1),
        }
        with pytest.raises(RelevoError, match=r"\(process \d+\) was killed and has not ended within 0\.1 s: it waits"):
            calls[way]()
    assert started[0].poll() is None
    started[0].kill()
    assert started[0].wait(30) == -9
