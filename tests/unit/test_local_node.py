"""The fence of a machine that answers: what is stopped, what is proof, and what of its WAL is given up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from segments import SIZE, named, segment

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import fence_here, local_node
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.local_node import LocalNode
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import FileStream
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server


class FakeService:
    """A service manager that means to start its service until it is told otherwise; ``obeys``: whether it listens."""

    def __init__(self, started: bool = True, obeys: bool = True) -> None:
        self.started, self.obeys, self.asked = started, obeys, 0

    def dont_restart(self) -> None:
        return None

    def start(self) -> None:
        self.started = True

    def stop(self, timeout: float) -> None:
        self.ask_to_stop()

    def ask_to_stop(self) -> None:
        self.asked += 1
        self.started = self.started and not self.obeys

    def stopped(self) -> bool:
        return not self.started

    def wanted(self) -> bool:
        return self.started


Started = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def data(tmp_path: Path, own_account: None) -> Path:
    folder = tmp_path / "17" / "main"
    (folder / "pg_wal").mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17\n")
    return folder


@pytest.fixture
def postgres(data: Path) -> Iterator[Started]:
    """Starts a process that works in the data directory and heeds no polite signal."""
    running = []

    def begin() -> subprocess.Popen[bytes]:
        text = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", text], cwd=data, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()


def node_of(data: Path, service: FakeService) -> LocalNode:
    return LocalNode("a", service, Server(data), data.parents[1])


def asked(**more: Any) -> dict[str, Any]:
    question = {"marker": "the marker\n", "timeline": 1, "spare_living": True, "run_id": "run", "salvage_from": ""}
    return question | more


def reap(process: subprocess.Popen[bytes]) -> None:
    """What was killed is a zombie until its parent asks, and a zombie has no directory."""
    assert process.wait(10) == -9


def test_a_server_that_is_gone_is_stopped_for_good_and_marked(data: Path) -> None:
    """Its service manager would have started it again."""
    service = FakeService()
    answer = fence_here.fence(node_of(data, service), asked())
    assert (answer["proved"], answer["marked"], answer["changed"]) == (True, True, True)
    assert "the service manager of a has stopped PostgreSQL, and no process of it is left" in answer["evidence"]
    assert service.stopped()
    assert (data.parents[1] / "relevo" / "fence.json").read_text() == "the marker\n"
    again = fence_here.fence(node_of(data, service), asked())
    assert (again["proved"], again["changed"], service.asked) == (True, False, 1)


def test_a_server_that_hangs_is_killed(data: Path, postgres: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    process = postgres()
    monkeypatch.setattr(LocalNode, "lives", lambda _node: False)
    answer = fence_here.fence(node_of(data, FakeService()), asked())
    reap(process)
    assert (answer["proved"], answer["marked"]) == (True, True)


def test_one_that_lives_is_spared_and_nothing_is_touched(
    data: Path, postgres: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, service = postgres(), FakeService()
    monkeypatch.setattr(LocalNode, "lives", lambda _node: True)
    assert fence_here.fence(node_of(data, service), asked()) == {"lives": True}
    assert (process.poll(), service.asked) == (None, 0)
    assert not (data.parents[1] / "relevo").exists()
    assert fence_here.fence(node_of(data, service), asked(spare_living=False))["proved"]
    reap(process)


def test_a_server_without_processes_does_not_live(data: Path) -> None:
    assert not node_of(data, FakeService()).lives()


@pytest.mark.parametrize("service", [FakeService(obeys=False)])
def test_a_service_manager_that_does_not_obey_is_no_proof(
    data: Path, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_node, "KILL_TIMEOUT", 0.2)
    answer = fence_here.fence(node_of(data, service), asked())
    assert (answer["proved"], answer["evidence"]) == (
        False,
        "Timed out after 0.2 s waiting for PostgreSQL on a to end",
    )
    assert not (data.parents[1] / "relevo").exists(), "a server that may go on must be able to start again"


def test_what_is_started_before_the_marker_is_there_is_stopped_again(
    data: Path, postgres: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = LocalNode.write_marker

    def somebody_starts_it(node: LocalNode, text: str) -> None:
        started.append(postgres())
        real(node, text)

    monkeypatch.setattr(LocalNode, "write_marker", somebody_starts_it)
    assert fence_here.fence(node_of(data, FakeService()), asked())["proved"]
    reap(started[0])


def test_a_process_in_a_directory_that_was_removed_is_one_still(data: Path, postgres: Started) -> None:
    process = postgres()
    data.rename(data.with_name("elsewhere"))
    assert Server(data).processes() == []
    (data.parent / "elsewhere").rename(data)
    subprocess.run(["rm", "-r", str(data)], check=True)
    assert Server(data).processes() == [process.pid]


def test_a_process_is_found_through_a_link(data: Path, postgres: Started) -> None:
    """Data that were moved to a larger disk: not seen, a living server would be proved to be stopped."""
    process = postgres()
    link = data.parent.with_name("link")
    link.symlink_to(data.parent)
    assert Server(link / data.name).processes() == [process.pid]


def test_a_process_whose_directory_root_may_not_see_is_asked_for_as_its_own_user(
    data: Path, postgres: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without CAP_SYS_PTRACE: that it cannot be seen must never be the proof that it is gone."""
    process = postgres()
    user: list[int] = []
    real = Path.readlink

    def readlink(path: Path) -> Path:
        if path.parent.name == str(process.pid) and not user:
            raise PermissionError
        return real(path)

    monkeypatch.setattr(Path, "readlink", readlink)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setegid", lambda _number: None)
    monkeypatch.setattr(os, "seteuid", user.append)
    assert Server(data).processes() == [process.pid]
    assert user[-1] == 0, "what follows is done as root again"


def test_a_disk_without_the_data_carries_no_marker(data: Path) -> None:
    """Mounted again, the data's own disk would hide it."""
    (data / "PG_VERSION").unlink()
    answer = fence_here.fence(node_of(data, FakeService()), asked(salvage_from=named(3)))
    assert (answer["proved"], answer["marked"]) == (True, False)
    assert "wal" not in answer


def test_a_newer_timeline_is_found(data: Path) -> None:
    (data / "pg_wal" / "00000002.history").write_text("1\t0/3000000\tno recovery target specified\n")
    assert fence_here.fence(node_of(data, FakeService()), asked())["newer_timeline"] == 2


# --- its WAL ---------------------------------------------------------------------------------------------------------


def received(answer: dict[str, Any]) -> dict[str, bytes]:
    return {path.rpartition("/")[2]: fence_here.unpack(text) for path, text in answer["files"].items()}


def test_the_wal_is_given_up_in_parts_and_what_is_recycled_is_not(data: Path) -> None:
    for number in range(3, 9):
        (data / "pg_wal" / named(number)).write_bytes(segment(named(number)))
    (data / "pg_wal" / named(9)).write_bytes(segment(named(2)))
    node, names = node_of(data, FakeService()), [named(number) for number in range(3, 9)]
    first = fence_here.fence(node, asked(salvage_from=named(3)))
    assert list(received(first)) == names[:4]
    assert received(first)[named(3)] == segment(named(3))
    assert (first["wal"]["ended"], first["wal"]["following"]) == ("", named(7))
    second = fence_here.fence(node, asked(salvage_from=first["wal"]["following"]))
    assert list(received(second)) == names[4:]
    assert second["wal"]["ended"] == f"{named(9)} is a recycled file"


def test_a_disk_that_fails_ends_the_wal_and_not_the_emergency(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "pg_wal" / named(3)).write_bytes(segment(named(3)))
    real = LocalNode.read_file

    @contextmanager
    def failing(node: LocalNode, path: str) -> Iterator[FileStream | None]:
        if path.endswith(named(4)):
            raise RelevoError("the disk fails.")
        with real(node, path) as stream:
            yield stream

    monkeypatch.setattr(LocalNode, "read_file", failing)
    answer = fence_here.fence(node_of(data, FakeService()), asked(salvage_from=named(3)))
    assert answer["proved"]
    assert (answer["wal"]["segments"], answer["wal"]["bytes"]) == ([named(3)], SIZE)
    assert answer["wal"]["ended"] == "the disk fails"


def test_what_is_received_is_private(data: Path) -> None:
    node, content = node_of(data, FakeService()), segment(named(3))
    where = data.parents[1] / "relevo" / "salvage" / "run" / named(3)
    node.write_file(str(where), FileStream(len(content), iter([content])))
    assert where.read_bytes() == content
    assert (where.stat().st_mode & 0o777, where.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert where.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/../elsewhere"])
def test_nothing_is_written_anywhere_else(data: Path, path: str) -> None:
    with pytest.raises(RelevoError, match="is not below"):
        node_of(data, FakeService()).write_file(path.format(root=data.parents[1]), FileStream(1, iter([b"x"])))
