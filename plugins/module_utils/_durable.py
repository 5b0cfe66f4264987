# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a power cut leaves as they were or as they should be, never half and never forgotten.

A new file reaches the disk under a temporary name before it gets its own; then the directory, which holds the name,
reaches it, too. Without the last step the file can be gone after a power cut (fsync(2), "does not necessarily ensure").
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path


def write_file(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file of PostgreSQL's: it belongs to the user postgres where root asks."""
    account = pwd.getpwnam("postgres")
    replace_file(path, content, mode, (account.pw_uid, account.pw_gid) if os.geteuid() == 0 else None)


def replace_file(path: Path, content: str | bytes, mode: int, owner: tuple[int, int] | None) -> None:
    """Replace a file as a whole; ``owner`` is a user's and a group's number, None for the caller's own."""
    replace_files([(path, content, mode, owner)])


def replace_files(files: Sequence[tuple[Path, str | bytes, int, tuple[int, int] | None]]) -> None:
    """Replace several files, in this order: path, content, mode and owner of each.

    All are on the disk before the first gets its name, so that who reads two that belong together, as a key and its
    certificate, meets the old or the new ones, but for the moment between two renames.
    """
    temporary = [path.with_name(f".{path.name}.new") for path, *_rest in files]
    for new, (_path, content, mode, owner) in zip(temporary, files, strict=True):
        _write(new, os.O_TRUNC, content, mode, owner)
    for new, (path, *_rest) in zip(temporary, files, strict=True):
        new.replace(path)
    for directory in dict.fromkeys(path.parent for path, *_rest in files):
        sync_directory(directory)


def create_file(path: Path, content: str, mode: int = 0o600) -> bool:
    """Make a file of the caller's that is not there yet; False, and nothing is changed, where there is one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    _write(temporary, os.O_EXCL, content, mode, None)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_directory(path.parent)
    return True


def _write(path: Path, flags: int, content: str | bytes, mode: int, owner: tuple[int, int] | None) -> None:
    # Nobody else may read it before it has its owner.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        file.flush()
        if owner is not None:
            os.fchown(handle, *owner)
        os.fchmod(handle, mode)
        os.fsync(handle)


def sync_directory(path: Path) -> None:
    """Make the directory's entries durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
