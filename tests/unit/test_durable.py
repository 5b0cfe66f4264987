"""Files that survive a power cut: the order of the calls is what makes them durable, so the order is tested."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _durable
from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import SecretStore


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, own_account: None) -> list[tuple[str, list[str]]]:
    """What was brought to the disk: its name, and for a directory what was in it then."""
    calls: list[tuple[str, list[str]]] = []
    original = os.fsync

    def fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        calls.append((path.name, sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []))
        original(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_the_content_reaches_the_disk_before_the_name_and_the_name_after(tmp_path: Path, synced: list[object]) -> None:
    _durable.write_file(tmp_path / "a", "x", 0o640)
    assert synced == [(".a.new", []), (tmp_path.name, ["a"])]
    assert ((tmp_path / "a").read_text(), (tmp_path / "a").stat().st_mode & 0o777) == ("x", 0o640)


def test_a_new_file_never_replaces_another(tmp_path: Path, synced: list[object]) -> None:
    assert _durable.create_file(tmp_path / "a", "first")
    assert synced[-1] == (tmp_path.name, ["a"])
    assert not _durable.create_file(tmp_path / "a", "second")
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def entry(path: Path, content: str | None) -> Entry:
    account = pwd.getpwuid(os.getuid())
    return Entry(path, content, account.pw_name, "", 0o700)


@pytest.fixture
def own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entry, "ids", lambda _self: (os.getuid(), os.getgid()))


@pytest.mark.usefixtures("own_group")
def test_a_managed_file_is_durable(tmp_path: Path, synced: list[object]) -> None:
    entry(tmp_path / "a", "x").write()
    assert synced[-1] == (tmp_path.name, ["a"])


@pytest.mark.usefixtures("own_group")
def test_a_managed_directory_is_durable(tmp_path: Path, synced: list[object]) -> None:
    entry(tmp_path / "d", None).write()
    assert synced == [(tmp_path.name, ["d"])]


def test_a_secret_is_durable(tmp_path: Path, synced: list[object]) -> None:
    SecretStore(tmp_path, {}).generate("redis")
    assert synced[-1] == (tmp_path.name, ["redis"])
