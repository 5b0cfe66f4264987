# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-builder puts into an execution environment is what the collection needs, in versions that we test."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
META = ROOT / "meta"
# What a distribution's name provides, where that is not its own name. requests is what docker talks with.
IMPORTED_BY = {"requests": "docker", "prometheus_client": "prometheus-client"}


def lines(path: Path) -> list[str]:
    found = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in found if line and not line.startswith("#")]


def requirements(path: Path) -> dict[str, str]:
    """The line of each distribution, by its name without extras."""
    return {re.split(r"[^\w-]", line)[0].lower(): line for line in lines(path)}


def imported() -> set[str]:
    """The packages that the plugins import and that neither Python nor Ansible brings."""
    names = set()
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).split(".")[0])
    own = {"ansible", "ansible_collections", "relevo", "yaml", "jinja2"}
    return names - own - set(sys.stdlib_module_names)


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((META / "execution-environment.yml").read_text(encoding="utf-8"))
    return read


def test_the_files_that_it_names_are_there(definition: dict[str, Any]) -> None:
    assert definition["version"] == 3
    assert definition["dependencies"].keys() == {"python", "system"}
    for name in definition["dependencies"].values():
        assert lines(ROOT / name)


def test_the_libraries_are_those_of_the_checkout(definition: dict[str, Any]) -> None:
    wanted = requirements(ROOT / definition["dependencies"]["python"])
    ours = requirements(ROOT / "requirements.txt")
    assert wanted == {name: line for name, line in ours.items() if name in wanted}


def test_all_that_the_plugins_import_is_there(definition: dict[str, Any]) -> None:
    names = imported()
    assert names, "nothing imported: the search is broken"
    wanted = requirements(ROOT / definition["dependencies"]["python"])
    assert {IMPORTED_BY.get(name, name) for name in names} - wanted.keys() == set()


def test_the_packages_are_lines_of_bindep(definition: dict[str, Any]) -> None:
    for line in lines(ROOT / definition["dependencies"]["system"]):
        assert re.fullmatch(r"[a-z0-9.+-]+( \[platform:[a-z0-9-]+\])?", line), line
