"""The fence contract: what is copied of a dead server's WAL, and what is written into containers."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from segments import SIZE, named, segment

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container import tar_of
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import (
    SALVAGE_DIRECTORY,
    CommandNode,
    FileStream,
    Proof,
    WalRange,
    copy_wal,
    parse_segment_header,
    why_not_own,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server import abandoned_timelines
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import segment_start

WAL_DIRECTORY = "/data/pg_wal"


class MemoryNode(CommandNode):
    """A node whose files are in memory."""

    def __init__(self, name: str, files: dict[str, bytes] | None = None, stopped: bool = True) -> None:
        super().__init__(name, [], 1)
        self.files = {f"{WAL_DIRECTORY}/{key}": value for key, value in (files or {}).items()}
        self.stopped = stopped

    def wal_directory(self) -> str:
        return WAL_DIRECTORY

    def prove_stopped(self) -> Proof:
        return Proof(self.stopped, "so it is")

    @contextmanager
    def read_file(self, path: str) -> Iterator[FileStream | None]:
        data = self.files.get(path)
        chunks = [] if data is None else [data[at : at + 65536] for at in range(0, len(data), 65536)]
        yield None if data is None else FileStream(len(data), iter(chunks))

    def list_directory(self, path: str) -> list[str]:
        return sorted(name.removeprefix(f"{path}/") for name in self.files)

    def write_file(self, path: str, stream: FileStream) -> None:
        self.files[path] = b"".join(stream.chunks)


def test_segments_are_copied_until_one_is_missing() -> None:
    source = MemoryNode("a", {named(number): segment(named(number)) for number in (3, 4, 5)})
    target = MemoryNode("b")
    done = copy_wal(source, target, "run", WalRange(first=named(4)))
    assert (done.segments, done.bytes) == ([named(4), named(5)], 2 * SIZE)
    assert done.ended == f"there is no {named(6)}"
    assert target.files == {f"{SALVAGE_DIRECTORY}/run/{name}": segment(name) for name in done.segments}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (segment(named(4), address=segment_start(named(2), SIZE)), "is a recycled file"),
        (segment(named(4), timeline=2), "newer timeline 2"),
        (bytes(SIZE), "made in advance"),
        (segment(named(4))[:1000], "cut off"),
        (b"", "made in advance"),
    ],
)
def test_the_first_segment_that_is_not_what_its_name_says_ends_it(bad: bytes, why: str) -> None:
    source = MemoryNode("a", {named(3): segment(named(3)), named(4): bad, named(5): segment(named(5))})
    target = MemoryNode("b")
    done = copy_wal(source, target, "run", WalRange(first=named(3)))
    assert done.segments == [named(3)]
    assert why in done.ended
    assert len(target.files) == 1


class BrokenNode(MemoryNode):
    """Its disk, or whoever reads it for us, fails at ``broken``; ``at_once`` or in the middle of the file."""

    broken, at_once = named(4), True

    @contextmanager
    def read_file(self, path: str) -> Iterator[FileStream | None]:
        if not path.endswith(self.broken):
            with super().read_file(path) as stream:
                yield stream
            return
        if self.at_once:
            raise RelevoError(f"Reading {path} of {self.name} failed.")

        def half() -> Iterator[bytes]:
            yield segment(self.broken)[:65536]
            raise RelevoError(f"Reading {path} of {self.name} failed.")

        yield FileStream(SIZE, half())


@pytest.mark.parametrize("at_once", [True, False])
def test_what_cannot_be_read_ends_it_and_leaves_what_came_before(at_once: bool) -> None:
    source = BrokenNode("a", {named(number): segment(named(number)) for number in (3, 4, 5)})
    source.at_once = at_once
    done = copy_wal(source, MemoryNode("b"), "run", WalRange(first=named(3)))
    assert (done.segments, done.bytes, done.interrupted) == ([named(3)], SIZE, True)
    assert done.ended == f"Reading {WAL_DIRECTORY}/{named(4)} of a failed"


def test_a_disk_that_does_not_say_whether_it_went_on_is_an_error() -> None:
    source = BrokenNode("a", {named(3): segment(named(3))})
    source.broken = "00000002.history"
    with pytest.raises(RelevoError, match=r"00000002\.history of a failed"):
        copy_wal(source, MemoryNode("b"), "run", WalRange(first=named(3)))


def test_the_first_page_of_a_new_timeline_carries_the_old_number() -> None:
    name = named(7, timeline=3)
    assert why_not_own(name, parse_segment_header(segment(name, timeline=2))) == ""


def test_without_a_beginning_the_oldest_of_the_timeline_is_it() -> None:
    files = {named(number): segment(named(number)) for number in (2, 3)}
    files[named(4, timeline=2)] = segment(named(4, timeline=2))
    files["00000002.history"] = b""
    done = copy_wal(MemoryNode("a", files), MemoryNode("b"), "run", WalRange(timeline=1))
    assert done.segments == [named(2), named(3)]
    assert copy_wal(MemoryNode("a", files), MemoryNode("b"), "run", WalRange(timeline=9)).segments == []


def test_a_node_that_was_promoted_later_says_so() -> None:
    """A number that is only taken, lest it be used again, is no promotion."""
    files = {named(3): segment(named(3)), "00000002.history": abandoned_timelines.TEXT.encode()}
    assert copy_wal(MemoryNode("a", files), MemoryNode("b"), "run", WalRange(first=named(3))).newer_timeline == 0
    files["00000003.history"] = b"1\t0/3000000\tno recovery target specified\n"
    assert copy_wal(MemoryNode("a", files), MemoryNode("b"), "run", WalRange(first=named(3))).newer_timeline == 3


def test_only_the_named_segments_are_copied() -> None:
    source = MemoryNode("a", {named(number): segment(named(number)) for number in (3, 4, 5)})
    done = copy_wal(source, MemoryNode("b"), "run", WalRange(names=(named(3), named(5))))
    assert done.segments == [named(3), named(5)]


def test_a_node_that_may_live_is_not_read() -> None:
    with pytest.raises(RelevoError, match="not proved to be stopped"):
        copy_wal(MemoryNode("a", stopped=False), MemoryNode("b"), "run", WalRange(first=named(1)))


@pytest.mark.parametrize("run", ["", "../x", "a/b", ".x"])
def test_a_run_cannot_leave_the_directory(run: str) -> None:
    with pytest.raises(RelevoError, match="cannot name a run"):
        copy_wal(MemoryNode("a"), MemoryNode("b"), run, WalRange(first=named(1)))


@pytest.mark.parametrize("name", ["x", "0" * 23, "0" * 25, "00000001000000000000000a", "../../etc/passwd"])
def test_a_segment_has_a_segments_name(name: str) -> None:
    with pytest.raises(RelevoError, match="not the name of a WAL segment"):
        WalRange(names=(name,))


def test_a_fence_command_decides() -> None:
    stop = CommandNode("a", [sys.executable, "-c", "import os; print(os.environ['RELEVO_NODE'])"], 30)
    assert stop.fence()
    assert stop.prove_stopped().evidence.endswith("status 0: a")
    fails = CommandNode("a", [sys.executable, "-c", "raise SystemExit(3)"], 30)
    assert not fails.prove_stopped().proved
    with pytest.raises(RelevoError, match="status 3"):
        fails.fence()
    assert "not ended within" in CommandNode("a", ["sleep", "9"], 0.1).prove_stopped().evidence
    assert "could not be run" in CommandNode("a", ["/nonexistent"], 1).prove_stopped().evidence
    with pytest.raises(RelevoError, match="no fence command"):
        CommandNode("a", [], 1).fence()
    with pytest.raises(RelevoError, match="over SSH"):
        CommandNode("a", [], 1).read_marker()


def entry(name: str, size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size = size
    return found


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_an_archive_is_streamed(size: int) -> None:
    data = b"x" * size
    folder = entry("d")
    folder.type = tarfile.DIRTYPE
    stream = FileStream(size, iter([data[:100], data[100:]]))
    whole = io.BytesIO(b"".join(tar_of([folder, entry("d/f", size)], stream)))
    with tarfile.open(fileobj=whole) as archive:
        assert archive.getnames() == ["d", "d/f"]
        content = archive.extractfile("d/f")
        assert content is not None
        assert content.read() == data


def test_a_file_that_shrinks_while_it_is_read_is_an_error() -> None:
    with pytest.raises(RelevoError, match="changed while it was copied"):
        list(tar_of([entry("f", 10)], FileStream(10, iter([b"x"]))))
