"""The base image: the one that is there, else pulled, else made; and what is said when none of it works."""

from __future__ import annotations

import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors
import pytest
import requests.exceptions

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container_image
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container_image import BaseImage, provide, pull

NAME, FALLBACK = "debian:trixie-slim", "relevo/base:trixie"


@dataclass
class Client:
    """An engine that has ``images``; ``events`` is what a pull says, ``error`` how it fails instead,
    ``silent`` lets it hang."""

    images: set[str] = field(default_factory=set)
    events: list[dict[str, str]] = field(default_factory=list)
    error: Exception | None = None
    silent: threading.Event | None = None
    imported: list[str] = field(default_factory=list)

    @property
    def api(self) -> Client:
        return self

    def inspect_image(self, name: str) -> None:
        if name not in self.images:
            raise docker.errors.ImageNotFound(f"No such image: {name}")

    def pull(self, name: str, **_options: Any) -> list[dict[str, str]]:
        if self.silent:
            self.silent.wait(10)
        if self.error:
            raise self.error
        if not any("error" in event for event in self.events):
            self.images.add(name)
        return self.events

    def import_image_from_file(self, path: str, repository: str, tag: str) -> None:
        assert Path(path).read_text() == "tar"
        self.imported.append(f"{repository}:{tag}")
        self.images.add(self.imported[-1])


@pytest.fixture
def wanted(tmp_path: Path) -> BaseImage:
    return BaseImage(NAME, FALLBACK, "trixie", tmp_path)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """mmdebstrap is there and works; returns how it was called."""
    calls: list[list[str]] = []

    def run(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        Path(command[-1]).write_text("tar")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/mmdebstrap")
    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.mark.parametrize("there", [NAME, FALLBACK])
def test_one_that_is_there_is_used(wanted: BaseImage, there: str) -> None:
    assert provide(Client({there}), wanted) == (there, "present")


def test_the_named_one_comes_first(wanted: BaseImage) -> None:
    assert provide(Client({NAME, FALLBACK}), wanted) == (NAME, "present")


def test_it_is_pulled(wanted: BaseImage) -> None:
    assert provide(Client(events=[{"status": "Pulling"}]), wanted) == (NAME, "pulled")


def test_without_a_registry_it_is_made(wanted: BaseImage, made: list[list[str]]) -> None:
    client = Client(error=requests.exceptions.ConnectionError("no route"))
    assert provide(client, wanted) == (FALLBACK, "bootstrapped")
    assert client.imported == [FALLBACK]
    assert made[0][-2:] == ["trixie", str(wanted.directory / "base.tar")]
    assert "900" in made[0]


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (Client(events=[{"error": "toomanyrequests"}]), "toomanyrequests"),
        (Client(error=docker.errors.APIError("x", explanation="no such host")), "no such host"),
        (Client(error=requests.exceptions.ReadTimeout("read timed out")), "read timed out"),
    ],
)
def test_why_it_was_not_pulled_is_kept(client: Client, reason: str) -> None:
    assert reason in pull(client, NAME, 30)


def test_a_pull_has_a_deadline() -> None:
    assert pull(Client(silent=threading.Event()), NAME, 0.05) == "not finished after 0.05 s"


def test_without_mmdebstrap_both_ways_out_are_named(wanted: BaseImage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(RelevoError, match="toomanyrequests.*Install the package mmdebstrap, or set"):
        provide(Client(events=[{"error": "toomanyrequests"}]), wanted)


@pytest.mark.parametrize(
    ("code", "said"), [(container_image.TIMED_OUT, "not ended within 900 s"), (25, "failed with status 25")]
)
def test_a_base_that_could_not_be_made_is_not_imported(
    wanted: BaseImage, made: list[list[str]], monkeypatch: pytest.MonkeyPatch, code: int, said: str
) -> None:
    ended = subprocess.CompletedProcess([], code, "", "E: no network")
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_options: ended)
    client = Client(events=[{"error": "no"}])
    with pytest.raises(RelevoError, match=said):
        provide(client, wanted)
    assert client.imported == []
