"""A set of files on a node is written so that each of them is there as a whole, also after a power failure."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._files import Entry

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def entry(path: Path, content: str | None = "new\n") -> Entry:
    return Entry(path, content, OWNER, GROUP, 0o640)


def test_a_file_is_written_and_then_no_longer_differs(tmp_path: Path) -> None:
    wanted = entry(tmp_path / "file")
    assert wanted.differs()
    wanted.write()
    assert not wanted.differs()
    assert wanted.path.read_text() == "new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_file_and_directory_are_made_durable_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    wanted = entry(tmp_path / "file")

    def fsync(handle: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        synced.append(f"{kind}, renamed: {wanted.path.exists()}")

    monkeypatch.setattr(os, "fsync", fsync)
    wanted.write()
    assert synced == ["file, renamed: False", "directory, renamed: True"]
