# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules share is documented alike: attributes, libraries, references to one another, action groups."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
ACTIONS = {path.stem for path in (ROOT / "plugins" / "action").glob("*.py")}
RUNTIME = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[str]] = RUNTIME["action_groups"]
# The class of plugins/doc_fragments whose options all members of an action group take.
FRAGMENTS = {
    "redis": ("redis", "DOCUMENTATION"),
    "pgbackrest": ("pgbackrest", "DOCUMENTATION"),
    "postgresql": ("cluster", "NODES"),
}


def source(module: str) -> str:
    return (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")


def fragment(file: str, name: str) -> dict[str, Any]:
    """A fragment of the documentation, read without importing it."""
    tree = ast.parse((ROOT / "plugins" / "doc_fragments" / f"{file}.py").read_text(encoding="utf-8"))
    [found] = [
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name
    ]
    return dict(yaml.safe_load(found))


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """The documentation of each module with its fragments, as ansible-doc sees it."""
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--type", "module", "--json"]
    names = [f"relevo.postgres.{module}" for module in MODULES]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    result = subprocess.run([*command, *names], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {name.rsplit(".", 1)[1]: page["doc"] for name, page in json.loads(result.stdout).items()}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_supports(module: str, documented: dict[str, dict[str, Any]]) -> None:
    attributes = documented[module]["attributes"]
    for name in ("check_mode", "diff_mode", "platform"):
        assert attributes.get(name, {}).get("support"), f"extend relevo.postgres.attributes, and say {name}: support"
    assert ("action" in attributes) == (module in ACTIONS)


@pytest.mark.parametrize("module", [module for module in MODULES if module.endswith("_info")])
def test_a_module_that_only_reads_says_so(module: str, documented: dict[str, dict[str, Any]]) -> None:
    attributes = documented[module]["attributes"]
    assert (attributes["check_mode"]["support"], attributes["diff_mode"]["support"]) == ("full", "N/A")


@pytest.mark.parametrize("module", MODULES)
def test_a_library_that_is_required_is_documented(module: str, documented: dict[str, dict[str, Any]]) -> None:
    libraries = set(re.findall(r'require_libraries\(\w+, \{"(\w+)"', source(module)))
    named = " ".join(documented[module].get("requirements") or [])
    assert {library for library in libraries if library not in named} == set()


def test_some_modules_require_libraries() -> None:
    """The search of the test above finds something."""
    assert any("require_libraries(module, {" in source(module) for module in MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_refers_to_modules_that_exist(module: str, documented: dict[str, dict[str, Any]]) -> None:
    text = source(module)
    named = set(re.findall(r"M\(relevo\.postgres\.(\w+)\)", text))
    named |= set(re.findall(r"^  - module: relevo\.postgres\.(\w+)$", text, re.MULTILINE))
    assert named - set(MODULES) == set()
    assert module not in re.findall(r"^  - module: relevo\.postgres\.(\w+)$", text, re.MULTILINE)


@pytest.mark.parametrize("module", ["pg_handover_plan", "pg_promote", "pg_rejoin", "pg_switchover"])
def test_the_modules_of_a_hand_over_refer_to_one_another(module: str, documented: dict[str, dict[str, Any]]) -> None:
    assert documented[module].get("seealso")


def test_every_group_has_a_fragment() -> None:
    assert GROUPS.keys() == FRAGMENTS.keys()


@pytest.mark.parametrize("group", GROUPS)
def test_the_members_of_a_group_take_its_options(group: str, documented: dict[str, dict[str, Any]]) -> None:
    """Otherwise a default of the group would end the members that do not take it."""
    shared = fragment(*FRAGMENTS[group])["options"]
    assert set(GROUPS[group]) <= set(MODULES)
    for module in GROUPS[group]:
        options = documented[module]["options"]
        assert shared.keys() <= options.keys(), module


@pytest.mark.parametrize("module", MODULES)
def test_a_module_names_its_groups(module: str, documented: dict[str, dict[str, Any]]) -> None:
    known = documented[module]["attributes"].get("action_group", {}).get("membership", [])
    assert known == [f"relevo.postgres.{group}" for group, members in GROUPS.items() if module in members]
