# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run beside the database: as the user postgres, in a clean environment, each with a deadline.

``run`` is for a short question. ``run_to_end`` is for what must not be cut off because its caller is. ``run_with_lock``
is for a copy of the data, which the next caller must find when it was left behind. ``run_fed`` sends a stream.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ._errors import RelevoError

POSTGRES = "postgres"
#: Seconds for a killed program to end: one that waits for a disk that does not answer cannot be ended.
REAP = 10.0


@dataclass(frozen=True)
class Finished:
    """A program that ended by itself; ``seconds`` is how long it ran."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float


def as_user(name: str = POSTGRES, **more: str) -> dict[str, Any]:
    """The keyword arguments by which ``subprocess`` runs a program as this user, whoever asks.

    The environment is made anew: no PGBACKREST_* or PG* variable of the caller may change what runs. ``more`` is added
    to it. Raises ``RelevoError`` where there is no such user, or the caller may not become it.
    """
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise RelevoError(f"This node has no system user {name}. Run site.yml, which installs the packages.") from None
    environment = {
        # PostgreSQL's own programs are called by their path, which tells their major version.
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": account.pw_dir,
        "USER": name,
        # In another locale messages, and the labels of pg_controldata, are translated.
        "LC_ALL": "C.UTF-8",
        **({"TZ": os.environ["TZ"]} if os.environ.get("TZ") else {}),
        **more,
    }
    options: dict[str, Any] = {"env": environment, "cwd": "/"}
    if os.geteuid() == account.pw_uid:
        return options
    if os.geteuid() != 0:
        raise RelevoError(f"This must run as {name}. Run the task as root or as {name}.")
    groups = os.getgrouplist(name, account.pw_gid)
    return options | {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}


def run(
    command: Sequence[str], timeout: float, *, text: str | None = None, user: str = POSTGRES, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with ``text`` as its input; ``RelevoError`` after ``timeout`` seconds."""
    # A module's own input is none of the program's business.
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        **as_user(user, **environment),
    )
    # Not subprocess.run, which waits without end for a program that it has killed.
    try:
        stdout, stderr = process.communicate(text, timeout)
    except BaseException as error:
        process.kill()
        _reap(process, command)
        if isinstance(error, subprocess.TimeoutExpired):
            raise _late(command, timeout) from None
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run_to_end(command: Sequence[str], timeout: float | None, grace: float = 2.0) -> Finished | None:
    """Run a program to its end; None when it took longer than ``timeout`` seconds and was ended.

    It writes to files without a name, not to pipes, and has a session of its own: when the caller is killed, a
    backup that runs goes on to its regular end instead of dying of a broken pipe.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            **as_user(),
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _end(process, command, grace)
            return None
        return Finished(code, _all_of(stdout), _all_of(stderr), time.monotonic() - started)


def run_with_lock(command: Sequence[str], timeout: float, lock: int) -> Finished:
    """Run a program and all that it starts with the open file ``lock``, by which one that was left can be found.

    Its messages are part of ``stdout``. Raises ``RelevoError`` after ``timeout`` seconds; none of it is left then.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=(lock,),
        **as_user(),
    )
    try:
        output = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _reap(process, command, helpers=True)
        raise _late(command, timeout) from None
    return Finished(process.returncode, output, "", time.monotonic() - started)


def run_fed(
    command: Sequence[str],
    feed: Callable[[IO[bytes]], None],
    timeout: float,
    *,
    user: str = POSTGRES,
    **environment: str,
) -> Finished | None:
    """Run a program whose input ``feed`` sends; None when it took longer than ``timeout`` seconds and was ended.

    What the program prints is dropped but for its messages. An exception of ``feed`` ends the program, too.
    """
    started = time.monotonic()
    late = threading.Event()
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            **as_user(user, **environment),
        )
        if process.stdin is None:
            raise RelevoError(f"{command[0]} was started without a pipe. This is a fault of the collection; report it.")

        def expire() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, expire)
        timer.start()
        try:
            feed(process.stdin)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, started + timeout - time.monotonic()))
        finally:
            timer.cancel()
            if process.poll() is None:
                expire()
            _reap(process, command)
        seconds = time.monotonic() - started
        return None if late.is_set() else Finished(process.returncode, "", _all_of(stderr), seconds)


@contextlib.contextmanager
def output_of(command: Sequence[str], source: IO[bytes], *, user: str = POSTGRES) -> Iterator[IO[bytes]]:
    """The output of a program that reads the open file ``source``; ``RelevoError`` when it does not end with 0.

    Where the reader is interrupted by an exception of its own the program is ended, and what it says does not count.
    """
    with tempfile.TemporaryFile() as stderr:
        with subprocess.Popen(
            list(command), stdin=source, stdout=subprocess.PIPE, stderr=stderr, **as_user(user)
        ) as process:
            if process.stdout is None:
                raise RelevoError(f"{command[0]} was started without a pipe. Report this fault of the collection.")
            try:
                yield process.stdout
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            said = _all_of(stderr).strip().splitlines()
            raise RelevoError(f"{Path(command[0]).name} failed: {said[-1] if said else 'it gave no reason'}")


def _end(process: subprocess.Popen[bytes], command: Sequence[str], grace: float) -> None:
    """End a program and its helpers: pgBackRest stops a backup in an orderly way when it is asked to."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _reap(process, command)


def _reap(process: subprocess.Popen[Any], command: Sequence[str], helpers: bool = False) -> None:
    """Wait for a program that was killed, and for its ``helpers``, which hold its output; let go of its pipes.

    Raises ``RelevoError`` when it has not ended after ``REAP`` seconds.
    """
    try:
        if helpers:
            process.communicate(timeout=REAP)
        else:
            process.wait(REAP)
    except subprocess.TimeoutExpired:
        raise RelevoError(
            f"{Path(command[0]).name} (process {process.pid}) was killed and has not ended within {REAP:g} s: it waits "
            f"for a disk that does not answer. Look at the disks of {os.uname().nodename}."
        ) from None
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _late(command: Sequence[str], timeout: float) -> RelevoError:
    return RelevoError(f"{Path(command[0]).name} did not end within {timeout:g} s.")
