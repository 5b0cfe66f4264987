"""A container by its engine's answers: one that is lost, late or cut off does not decide."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import Any

import docker.errors
import pytest
import requests.exceptions

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container import ContainerNode

LOST = requests.exceptions.ConnectionError("Remote end closed connection without response")
LATE = requests.exceptions.ReadTimeout("read timed out")
REFUSED = docker.errors.APIError("409", explanation="cannot kill container")


class Engine:
    """``states``: what it answers when it is asked for the container's state, in order; the last one from then on."""

    def __init__(self, *states: str | Exception, kill: Exception | None = None, wait: Exception | None = None) -> None:
        self.states, self.failures, self.calls = list(states), {"kill": kill, "wait": wait}, [""]
        self.archive, self.locked = b"", False
        self.files: dict[str, bytes] | None = None

    @property
    def api(self) -> Engine:
        return self

    def inspect_container(self, _name: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return {"State": {"Running": state == "running", "Status": state}, "Config": {"Env": ["PGDATA=/data"]}}

    def _do(self, what: str) -> None:
        self.calls.append(what)
        if failure := self.failures[what]:
            raise failure

    def kill(self, _name: str) -> None:
        self._do("kill")

    def wait(self, _name: str, timeout: float) -> None:
        assert timeout == 30
        self._do("wait")

    def get_archive(self, _name: str, path: str, chunk_size: int) -> tuple[Iterator[bytes], None]:
        assert chunk_size
        if self.files is not None and path not in self.files:
            raise docker.errors.NotFound("no such file")
        return self._sent(self.archive if self.files is None else self.files[path]), None

    def _sent(self, content: bytes) -> Iterator[bytes]:
        # The engine locks the container until the whole has been read, or given up.
        assert not self.locked, "this would wait for itself"
        self.locked = True
        try:
            yield content
        finally:
            self.locked = False


@pytest.mark.parametrize("late", [{"kill": LATE}, {"wait": LATE}, {"kill": REFUSED}, {"kill": LOST}, {}])
def test_who_is_stopped_is_fenced_whatever_became_of_the_answer(late: dict[str, Exception]) -> None:
    assert ContainerNode(Engine("running", "exited", **late), "a").fence()


@pytest.mark.parametrize(("late", "words"), [({"wait": LATE}, "read timed out"), ({"kill": REFUSED}, "cannot kill")])
def test_who_runs_on_is_not_and_the_engines_words_are_passed_on(late: dict[str, Exception], words: str) -> None:
    with pytest.raises(RelevoError, match=f"^a could not be fenced: .* is running after it was killed .*{words}"):
        ContainerNode(Engine("running", **late), "a").fence()


def test_one_that_is_stopped_is_left_alone() -> None:
    engine = Engine("exited")
    assert not ContainerNode(engine, "a").fence()
    assert engine.calls == [""]


def test_an_answer_that_is_lost_is_asked_for_once_more() -> None:
    assert ContainerNode(Engine(LOST, "exited"), "a").prove_stopped().proved
    with pytest.raises(RelevoError, match="Inspecting the container a failed: the Docker engine does not answer"):
        ContainerNode(Engine(LOST, LOST, "exited"), "a").prove_stopped()
    # One that was waited for is not: that would take as long again.
    with pytest.raises(RelevoError, match="read timed out"):
        ContainerNode(Engine(LATE, "exited"), "a").prove_stopped()


def test_a_file_of_which_the_engine_sends_a_part_is_an_error_in_words() -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        entry = tarfile.TarInfo("f")
        entry.size = 10000
        archive.addfile(entry, io.BytesIO(bytes(10000)))
    engine = Engine("exited")
    for length in (100, 5000):
        engine.archive = whole.getvalue()[:length]
        with pytest.raises(RelevoError, match="Reading /f of a failed: what the Docker engine sent is not whole"):
            _read(ContainerNode(engine, "a"))
    engine.archive = whole.getvalue()
    assert _read(ContainerNode(engine, "a")) == 10000


def _read(node: ContainerNode) -> int:
    with node.read_file("/f") as stream:
        assert stream is not None
        return len(b"".join(stream.chunks))


def tar(*entries: str) -> bytes:
    """Directories, with a slash at the end, and files with a byte."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name in entries:
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.size = 0 if name.endswith("/") else 1
            archive.addfile(entry, None if name.endswith("/") else io.BytesIO(b"x"))
    return whole.getvalue()


@pytest.mark.parametrize(
    ("there", "notes", "found"),
    [
        (["scratch/", "scratch/.elsewhere/", "scratch/.roots", "scratch/a/", "scratch/a/data/"], ["a"], "a"),
        # What was left of one that was removed has no note.
        (["scratch/", "scratch/a/", "scratch/a/x", "scratch/b/", "scratch/b/instance.json"], ["b"], "b"),
        (["scratch/", "scratch/a/", "scratch/a/b/"], ["a/b"], ""),
        (["scratch/", "scratch/.roots"], [], ""),
        (["scratch/"], [], ""),
        ([], [], ""),
    ],
)
def test_the_first_directory_with_a_file(there: list[str], notes: list[str], found: str) -> None:
    engine = Engine("exited")
    engine.files = {"/srv/scratch": tar(*there)} if there else {}
    engine.files |= {f"/srv/scratch/{name}/instance.json": tar("instance.json") for name in notes}
    assert ContainerNode(engine, "a").first_with("/srv/scratch", "instance.json") == found
