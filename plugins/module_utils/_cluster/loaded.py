# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control API's service has loaded at its start: with something else there, it has to be started anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path


def digest_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of files, and of all files in directories, by name and content.

    One that is not there counts for nothing, and so does what Python compiles on its way.
    """
    whole = hashlib.sha256()
    for path in paths:
        for name, file in sorted(_files(path)):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"{content} {name}\n".encode())
    return whole.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(path)), file
