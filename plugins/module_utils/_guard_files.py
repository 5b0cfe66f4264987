# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a node for the start guard: its sources, found by their imports, and what an older version left.

A server may start at any moment, so the guard must be complete at any moment. Each version therefore has a folder of
its own, and ``_start_guard.py``, which the service manager runs, only names it: replacing that file replaces the guard.
The version before stays, for a guard that was just being loaded.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ._files import Entry

ENTRY = "_start_guard"
NOTE = '"""Installed by relevo.postgres.pg_start_guard: edits are lost."""\n'
VERSION_PREFIX = "guard_"

RELATIVE_IMPORT = re.compile(r"^[ \t]*(from \.[\w.]* import (?:\([^)]*\)|[^(\n]*))", re.MULTILINE)

#: The text of a module by its dotted name below ``module_utils``; None when there is no such file.
Reader = Callable[[str], "str | None"]


def read_source(module: str) -> str | None:
    """Read a module of this collection wherever it was loaded from: Ansible packs modules into an archive."""
    spec = importlib.util.find_spec(f"{__package__}.{module}")
    if spec is None or spec.submodule_search_locations is not None:
        return None
    # Every loader of Python and of Ansible has it, but importlib's abstract classes do not know them all.
    source: str | bytes | None = getattr(spec.loader, "get_source")(spec.name)  # noqa: B009
    # On the controller, Ansible's loader of collections gives the bytes.
    return source.decode() if isinstance(source, bytes) else source


def imported(module: str, source: str, read: Reader = read_source) -> Iterator[str]:
    """The modules below ``module_utils`` that a module imports, wherever in its code it does so."""
    # To parse all of a source takes ten times as long, and a promotion waits for it.
    statements = (ast.parse(statement).body[0] for statement in RELATIVE_IMPORT.findall(source))
    for node in statements:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = [*module.split(".")[: -node.level], *(node.module.split(".") if node.module else [])]
        # A folder has no code of its own: what is imported from it are its modules.
        if base and read(".".join(base)) is not None:
            yield ".".join(base)
        else:
            yield from (".".join([*base, alias.name]) for alias in node.names)


def closure(entry: str = ENTRY, read: Reader = read_source) -> dict[str, str]:
    """The entry and all that it imports, directly or not, with the text of each; raises LookupError for a gap."""
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        source = read(module)
        if source is None:
            raise LookupError(f"The start guard imports {module}, which is not there")
        found[module] = source
        waiting += imported(module, source, read)
    return dict(sorted(found.items()))


def version_of(sources: dict[str, str]) -> str:
    """The name of the folder for these sources: other sources, another name."""
    text = "\0".join(part for item in sorted(sources.items()) for part in item)
    return VERSION_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]


def guard_entries(package: Path, sources: dict[str, str]) -> list[Entry]:
    """The folders and files to write, in this order: the one that the service manager runs comes last."""
    version = version_of(sources)
    files = {Path(version, *module.split(".")).with_suffix(".py"): text for module, text in sources.items()}
    files |= {folder / "__init__.py": NOTE for folder in {file.parent for file in files}}
    files[Path("__init__.py")] = NOTE
    folders = sorted({package.parent, *(package / file.parent for file in files)})
    run = f"{NOTE}from relevo.{version}.{ENTRY} import main\n\nraise SystemExit(main())\n"
    return [
        *(Entry(folder, None, "root", "root", 0o755) for folder in folders),
        *(Entry(package / file, text, "root", "root", 0o644) for file, text in sorted(files.items())),
        Entry(package / f"{ENTRY}.py", run, "root", "root", 0o644),
    ]


def stale_paths(package: Path, sources: dict[str, str]) -> list[Path]:
    """What older versions left, apart from the newest of them.

    The first versions had no folder: their files are in the package itself, and are the oldest.
    """
    current = package / version_of(sources)
    versions = sorted(package.glob(f"{VERSION_PREFIX}*"), key=lambda path: path.stat().st_mtime, reverse=True)
    others = [path for path in versions if path != current]
    flat = [path for path in package.glob("*.py") if path.stem not in ("__init__", ENTRY)]
    return sorted([*others[1:], *(flat if others else [])])
