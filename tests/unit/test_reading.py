"""What a service was given and has not read: found from times alone, since neither of them can be asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server import reading


@pytest.mark.parametrize(
    ("written", "began", "told", "owed"),
    [
        (5.0, 6.0, None, False),
        (6.5, 6.0, None, True),
        # It was told afterwards.
        (6.5, 6.0, 7.0, False),
        (7.5, 6.0, 7.0, True),
        # What was told to an earlier process says less than the start of this one.
        (6.5, 7.0, 6.0, False),
        # It is down, or has nothing to read.
        (6.5, None, 7.0, False),
        (None, 6.0, None, False),
    ],
)
def test_what_is_owed(written: float | None, began: float | None, told: float | None, owed: bool) -> None:
    assert reading.is_owed(written, began, told) is owed


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[reading.Reader]:
    """A process that counts the signals which tell it to read, and its child, which looks like it."""
    monkeypatch.setattr(_names, "READING_DIR", tmp_path / "run")
    program = tmp_path / "relevotest"
    program.symlink_to(sys.executable)
    code = (
        "import os, signal, time\n"
        f"signal.signal(signal.SIGHUP, lambda *_: open({str(tmp_path / 'read')!r}, 'a').write('x'))\n"
        f"os.fork()\nopen({str(tmp_path / 'up')!r}, 'a').write('x')\n"
        "while True: time.sleep(0.05)\n"
    )
    with subprocess.Popen([str(program), "-c", code, "server"], start_new_session=True) as process:
        while not (tmp_path / "up").exists() or len((tmp_path / "up").read_text()) < 2:
            time.sleep(0.01)
        yield reading.Reader("test", "relevotest", "server")
        os.killpg(process.pid, signal.SIGKILL)


def test_a_service_is_told_once_for_each_change(service: reading.Reader, tmp_path: Path) -> None:
    files = [tmp_path / "conf", tmp_path / "missing"]
    pid = reading.process_of(service)
    assert pid is not None
    began = reading.started(pid)
    assert began is not None
    assert abs(time.time() - began) < 60
    assert not reading.owed(service, files)
    time.sleep(0.05)  # A start is known to a hundredth of a second.
    files[0].write_text("new")
    assert reading.owed(service, files)
    reading.tell(service)
    assert not reading.owed(service, files)
    while not (tmp_path / "read").exists():
        time.sleep(0.01)
    assert (tmp_path / "read").read_text() == "x"
    time.sleep(0.01)
    files[0].write_text("newer")
    assert reading.owed(service, files)


def test_who_does_not_run_owes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "READING_DIR", tmp_path / "run")
    nobody = reading.Reader("nobody", "relevo-no-such")
    (tmp_path / "conf").write_text("x")
    assert not reading.owed(nobody, [tmp_path / "conf"])
    reading.tell(nobody)
    assert not (tmp_path / "run").exists()


def test_who_only_waits_for_its_files_owes_nothing_once_it_runs(service: reading.Reader, tmp_path: Path) -> None:
    """Its process is older than the files, under another name until it has them."""
    waits = reading.Reader("test", "relevo-no-such")
    time.sleep(0.05)
    (tmp_path / "conf").write_text("x")
    assert reading.owed(service, [tmp_path / "conf"])
    time.sleep(0.01)
    reading.note_that_it_is_down(waits)
    assert not reading.owed(service, [tmp_path / "conf"])
    # One that runs is not said to be down.
    time.sleep(0.01)
    (tmp_path / "conf").write_text("y")
    reading.note_that_it_is_down(service)
    assert reading.owed(service, [tmp_path / "conf"])


def supervised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: str) -> None:
    directory = tmp_path / "service" / "test" / "supervise"
    directory.mkdir(parents=True)
    (directory / "pid").write_text(pid)
    monkeypatch.setattr(reading, "SERVICE_DIR", tmp_path / "service")


def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """A systemctl that says this of every unit."""
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\nprintf '{said}'\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(reading, "SYSTEMD", tmp_path)


def test_the_manager_says_which_process_it_is(
    service: reading.Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child looks like the service and is younger: only the manager knows that it is meant."""
    oldest = reading.oldest_process(service)
    [child] = map(int, Path(f"/proc/{oldest}/task/{oldest}/children").read_text().split())
    supervised(tmp_path, monkeypatch, f"{child}\n")
    assert reading.process_of(service) == child


@pytest.mark.parametrize("pid", ["", "self"])
def test_a_stranger_is_not_the_service(
    service: reading.Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: str
) -> None:
    """Ours is down, or waits for its files; an older process of that name is somebody else's."""
    supervised(tmp_path, monkeypatch, str(os.getpid()) if pid else "")
    (tmp_path / "conf").write_text("x")
    assert reading.oldest_process(service)
    assert reading.process_of(service) is None
    reading.tell(service)
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize(
    ("said", "pid"),
    [
        ("LoadState=loaded\\nMainPID=17\\n", 17),
        ("LoadState=loaded\\nMainPID=0\\n", 0),
        ("LoadState=not-found\\nMainPID=0\\n", None),
    ],
)
def test_systemd_says_which_process_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, pid: int | None
) -> None:
    unit(tmp_path, monkeypatch, said)
    assert reading.managed_process(reading.Reader("test", "x", unit="x.service")) == pid


def test_processes_of_containers_are_left_out(tmp_path: Path, service: reading.Reader) -> None:
    """Of a machine's own processes and those in its containers, which it sees as well."""
    pid = reading.oldest_process(service)
    assert pid is not None
    for name, space in (("self", "pid:[1]"), (str(pid), "pid:[2]")):
        (tmp_path / "proc" / name / "ns").mkdir(parents=True)
        (tmp_path / "proc" / name / "ns" / "pid").symlink_to(space)
    for file in ("comm", "cmdline"):
        (tmp_path / "proc" / str(pid) / file).write_bytes(Path(f"/proc/{pid}/{file}").read_bytes())
    assert reading.oldest_process(service, tmp_path / "proc") is None
    (tmp_path / "proc" / str(pid) / "ns" / "pid").unlink()
    (tmp_path / "proc" / str(pid) / "ns" / "pid").symlink_to("pid:[1]")
    assert reading.oldest_process(service, tmp_path / "proc") == pid


def test_every_reader_has_a_unit_and_a_service_of_the_image() -> None:
    root = Path(__file__).resolve().parents[2]
    for name, reader in reading.READERS.items():
        assert reader.unit
        assert (root / "roles" / "docker_nodes" / "files" / "image" / "service" / name / "run").exists()


def test_haproxy_is_told_by_another_signal() -> None:
    assert {name: reader.reload for name, reader in reading.READERS.items()} == {
        "haproxy": signal.SIGUSR2,
        "pgbackrest": signal.SIGHUP,
        "redis": signal.SIGHUP,
    }
