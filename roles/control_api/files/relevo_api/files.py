# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that several processes read and write."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def write_json(path: Path, value: Any) -> None:
    """Whoever reads meanwhile sees the old content or the new one, and so does who reads after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _open(temporary, os.O_WRONLY | os.O_TRUNC) as file:
        json.dump(value, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def append_line(path: Path, line: str) -> None:
    """Add a whole line: what several processes add at once does not mix."""
    with _open(path, os.O_WRONLY | os.O_APPEND) as file:
        file.write(line + "\n")


def _open(path: Path, flags: int) -> TextIO:
    return os.fdopen(_opened(path, flags), "w", encoding="utf-8")


def _opened(path: Path, flags: int) -> int:
    """For nobody but the service's user, from the first moment; that is the owner of the directory, also where root
    types a command, who would otherwise leave a file that the service cannot read.
    """
    number = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(number, owner.st_uid, owner.st_gid)
    return number


def try_lock(path: Path) -> int | None:
    """Lock a file for the process and for the children that get the number; None when somebody else has it."""
    number = _opened(path, os.O_RDWR)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a file's lock, for a piece of work that takes milliseconds."""
    number = _opened(path, os.O_RDWR)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
