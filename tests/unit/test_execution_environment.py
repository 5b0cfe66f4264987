# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-builder puts into an execution environment is what the collection needs, in versions that we test."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
META = ROOT / "meta"
# What a distribution's name provides, where that is not its own name. requests is what docker talks with.
IMPORTED_BY = {"prometheus_client": "prometheus-client", "requests": "docker"}


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


# --- the image that AWX runs the jobs in ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "execution-environment.yml").read_text(encoding="utf-8"))
    return read


def pinned(image: dict[str, Any]) -> list[str]:
    """Every Python package that the image names, as pip reads them."""
    dependencies = image["dependencies"]
    named = [dependencies[name]["package_pip"] for name in ("ansible_core", "ansible_runner")]
    return [*named, *lines(ROOT / dependencies["python"])]


def test_the_image_takes_what_the_collection_names(image: dict[str, Any], definition: dict[str, Any]) -> None:
    assert {name: image["dependencies"][name] for name in ("python", "system")} == definition["dependencies"]


def test_every_package_of_the_image_is_one_that_the_tests_run_with(image: dict[str, Any]) -> None:
    """Installed here in a version that fits, so there is one to install."""
    for line in pinned(image):
        wanted = Requirement(line)
        assert importlib.metadata.version(wanted.name) in wanted.specifier, line


def test_the_image_has_the_ansible_that_the_collection_wants(image: dict[str, Any]) -> None:
    wanted = yaml.safe_load((META / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    core = Requirement(image["dependencies"]["ansible_core"]["package_pip"])
    assert wanted.removeprefix(">=").removesuffix(".0") in str(core.specifier)
    assert importlib.metadata.version("ansible-core") in core.specifier


def test_the_collections_are_those_that_ours_depends_on(image: dict[str, Any]) -> None:
    needed = yaml.safe_load((ROOT / image["dependencies"]["galaxy"]).read_text(encoding="utf-8"))["collections"]
    wanted = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["dependencies"]
    # awx.awx is needed by nothing but awx.yml, so nobody who installs the collection has to have it.
    assert {one["name"]: one["version"] for one in needed if one["name"] != "awx.awx"} == wanted
    assert "awx.awx" in {one["name"] for one in needed}


def test_every_collection_of_the_image_is_one_that_the_tests_run_with(image: dict[str, Any]) -> None:
    needed = yaml.safe_load((ROOT / image["dependencies"]["galaxy"]).read_text(encoding="utf-8"))["collections"]
    for one in needed:
        found = importlib.util.find_spec(f"ansible_collections.{one['name']}")
        assert found is not None, one["name"]
        assert found.submodule_search_locations
        manifest = json.loads((Path(found.submodule_search_locations[0]) / "MANIFEST.json").read_text())
        assert manifest["collection_info"]["version"] in SpecifierSet(one["version"]), one["name"]


def test_ansible_builder_takes_the_definition(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("ansible-builder")), "create", "--context", str(tmp_path / "context")]
    done = subprocess.run(
        [*command, "--output-filename", "Containerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = (tmp_path / "context" / "Containerfile").read_text()
    assert "ansible-core>=2.19,<2.20" in made
    build = tmp_path / "context" / "_build"
    assert lines(build / "requirements.txt") == lines(META / "ee-requirements.txt")
    assert lines(build / "bindep.txt") == lines(META / "ee-bindep.txt")
    assert (build / "requirements.yml").read_text() == (ROOT / "collections" / "requirements.yml").read_text()


def test_a_mistake_in_the_definition_is_refused(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = (ROOT / "execution-environment.yml").read_text().replace("base_image:", "basis:")
    (tmp_path / "execution-environment.yml").write_text(wrong)
    command = [str(Path(sys.executable).with_name("ansible-builder")), "create", "--context", str(tmp_path / "context")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
