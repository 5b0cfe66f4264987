# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever changes a cluster takes the operation lock, and what only looks does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
#: What only looks, or works on what is none of a cluster: the controller, an API, an AWX.
LOOKS = {"api", "awx", "catalog", "catalog_check", "fence_test", "schedule", "status"}
LOCK = ("operation_lock", "main")

#: A file of tasks: its role, and its name there.
Tasks = tuple[str, str]


def leads_to(loaded: Any, role: str = "") -> Iterator[Tasks | str]:
    """The files of tasks that a play or a file of tasks includes; of a playbook that is imported its name."""
    if isinstance(loaded, list):
        for one in loaded:
            yield from leads_to(one, role)
    if not isinstance(loaded, dict):
        return
    for key, value in loaded.items():
        word = str(key).rpartition(".")[2]
        if word == "import_playbook":
            yield str(value)
        elif word in ("import_role", "include_role"):
            yield value["name"].rpartition(".")[2], stem(value.get("tasks_from", "main"))
        elif word in ("import_tasks", "include_tasks"):
            yield role, stem(value if isinstance(value, str) else value["file"])
        elif word == "roles":
            names = [entry if isinstance(entry, str) else entry["role"] for entry in value]
            yield from ((name.rpartition(".")[2], "main") for name in names)
        elif word in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from leads_to(value, role)


def stem(name: str) -> str:
    return name.removesuffix(".yml")


def reached(loaded: Any, role: str = "", seen: set[Tasks] | None = None) -> set[Tasks]:
    """All files of tasks that are included, directly or by one that is."""
    seen = set() if seen is None else seen
    for one in leads_to(loaded, role):
        if isinstance(one, str):
            reached(load(ROOT / "playbooks" / one), seen=seen)
        elif one not in seen:
            seen.add(one)
            path = ROOT / "roles" / one[0] / "tasks" / f"{one[1]}.yml"
            # A name that is a template's, as of a format: none of them takes the lock.
            if path.exists():
                reached(load(path), one[0], seen)
    return seen


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_play_takes_the_lock_unless_it_only_looks(playbook: Path) -> None:
    assert (LOCK in reached(load(playbook))) is (playbook.stem not in LOOKS)


def test_the_documentation_names_them() -> None:
    page = next(ROOT.glob("docs/**/operation-lock.md")).read_text(encoding="utf-8")
    sentence = page[: page.index("Whoever comes meanwhile")]
    named = set(re.findall(r"`(\w+)\.yml`", sentence))
    # It runs two of the others.
    assert named == {path.stem for path in PLAYBOOKS} - LOOKS - {"up"}
