"""The memory of a command and of all that it starts, and of what runs in a container, sampled while something runs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from systems.base import BenchmarkError, in_node

KIB = 1024
#: Seconds between two looks. Looking into a container starts a process there, which takes time from what is measured.
SECONDS, SECONDS_IN_NODE = 1.0, 5.0
#: What the kernel adds up for a process, each page that several share counted once among them.
PROPORTIONAL = "Pss:"
#: In a container, of all its processes but itself. One that ends meanwhile counts nothing.
ROLLUPS = """
import os, pathlib
for one in pathlib.Path("/proc").glob("[0-9]*/smaps_rollup"):
    if one.parent.name != str(os.getpid()):
        try:
            print(one.read_text())
        except OSError:
            pass
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it took: processor seconds with those of all that it started, and the most bytes."""

    code: int
    output: str
    seconds: float
    processor: float
    memory: int

    def changes(self) -> list[str]:
        """What a play changed where, by the lines that it printed about it."""
        found, task = [], ""
        for line in self.output.splitlines():
            if line.startswith(("TASK [", "RUNNING HANDLER [")):
                task = line.partition("[")[2].partition("]")[0]
            elif line.startswith("changed: ["):
                found.append(f"{task} on {line.partition('[')[2].partition(']')[0]}")
        return found


def proportional(rollups: str) -> int:
    """Bytes, summed over the texts of /proc/PID/smaps_rollup."""
    return KIB * sum(int(line.split()[1]) for line in rollups.splitlines() if line.startswith(PROPORTIONAL))


def session_of(stat: str) -> int:
    """The session of a process by /proc/PID/stat, whose second field, a name, may have blanks and parentheses."""
    return int(stat.rpartition(")")[2].split()[3])


def memory_of_session(session: int) -> int:
    """Bytes of all processes of a session. One that has just ended counts nothing."""
    found = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if session_of((folder / "stat").read_text()) == session:
                found += proportional((folder / "smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def memory_of_node(node: str) -> int:
    """Bytes of all processes in a container."""
    return proportional(in_node(node, "python3", "-c", ROLLUPS, user="root"))


@contextmanager
def peak(measure: Callable[[], int], every: float = SECONDS) -> Iterator[list[int]]:
    """While the block runs, ``measure`` is asked again and again; the list then has the greatest answer alone."""
    found, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(every):
            found[0] = max(found[0], measure())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float) -> Ran:
    """Run a command in a session of its own."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with peak(lambda: memory_of_session(process.pid)) as memory:
            usage = _wait(process, time.monotonic() + timeout)
        output.seek(0)
        text = output.read()
    if usage is None:
        raise BenchmarkError(f"`{' '.join(command)[-120:]}` did not end within {timeout:g} s.")
    return Ran(int(process.returncode), text, time.monotonic() - started, usage.ru_utime + usage.ru_stime, memory[0])


def _wait(process: subprocess.Popen[bytes], deadline: float) -> os.struct_rusage | None:  # type: ignore[name-defined]
    """What a process and all that it waited for used; None when it had to be killed at the deadline."""
    killed = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return None if killed else usage
        if time.monotonic() > deadline and not killed:
            os.killpg(process.pid, 9)
            killed = True
        time.sleep(0.05)
