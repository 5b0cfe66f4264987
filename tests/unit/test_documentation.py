# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README is short and complete, and the index leads to every page. That links resolve: test_role_readmes.py."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
MOST_LINES = 150
# What Red Hat and Ansible want of the README of a certified collection, in their order.
SECTIONS = (
    "Description",
    "Requirements",
    "Installation",
    "Use Cases",
    "Testing",
    "Contributing",
    "Support",
    "Release Notes",
    "Related Information",
    "License",
)


def linked(page: Path) -> set[Path]:
    """The pages of this checkout to which a page has a link."""
    targets = (target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")))
    return {(page.parent / target).resolve() for target in targets if target.endswith(".md") and "://" not in target}


def reachable(start: Path) -> set[Path]:
    found, ahead = set[Path](), [start]
    while ahead:
        page = ahead.pop()
        if page not in found and page.exists():
            found.add(page)
            ahead += linked(page)
    return found


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_the_readme_has_the_sections_of_a_certified_collection() -> None:
    assert tuple(re.findall(r"^## (.+)$", README.read_text(encoding="utf-8"), re.MULTILINE)) == SECTIONS


def test_the_readme_says_how_to_begin() -> None:
    text = README.read_text(encoding="utf-8")
    for command in ("make up", "make test", "ansible-galaxy collection install relevo.postgres"):
        assert re.search(rf"^{command}", text, re.MULTILINE), f"README.md does not show: {command}"


def test_the_readme_leads_to_the_index() -> None:
    assert INDEX in linked(README)


@pytest.mark.parametrize(
    "page",
    [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_index_leads_to_every_page(page: Path) -> None:
    assert page in reachable(INDEX)


def test_every_playbook_is_named_where_people_look() -> None:
    """A new playbook is not found unless the README's table, or a page behind it, names it."""
    text = "".join(page.read_text(encoding="utf-8") for page in reachable(README))
    names = {path.name for path in (ROOT / "playbooks").glob("*.yml")} - {"up.yml", "down.yml"}  # make up, make down
    assert {name for name in names if name not in text} == set()


@pytest.mark.parametrize("name", ["catalog", "catalog_check", "restore", "restore_point", "drill", "cleanup"])
def test_the_tutorial_shows_what_becomes_of_backups(name: str) -> None:
    """What people come for. In a block: a command that is typed, and not only told of."""
    shown = re.findall(r"^```\n(.*?)^```$", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.M | re.S)
    assert re.search(rf"^(\$ )?ansible-playbook playbooks/{name}\.yml\b", "".join(shown), re.MULTILINE)


def test_what_the_tutorial_says_of_tables_was_printed() -> None:
    """It has the output of docs/restore.md, which came from a real run, and not one of its own."""
    tutorial, restore = ((ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("tutorial.md", "restore.md"))
    printed = re.search(r"^(The table public\.orders of shop, as of .*?)^```$", restore, re.MULTILINE | re.DOTALL)
    assert printed
    assert printed[1] in tutorial


def test_the_source_map_names_what_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    places = re.findall(
        r"^\| .* \| (.*) \|$", text.partition("\n## Where is what\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    names = re.findall(r"`([^`]+)`", " ".join(places))
    assert names
    below = ROOT / "plugins" / "module_utils"
    assert [name for name in names if not ((below if name.startswith("_") else ROOT) / name).exists()] == []


def test_the_table_of_arrows_is_the_one_that_is_tested() -> None:
    """tests/unit/test_imports.py owns it; ARCHITECTURE.md shows it without the flat files."""
    spec = importlib.util.spec_from_file_location("arrows", Path(__file__).with_name("test_imports.py"))
    assert spec is not None
    assert spec.loader is not None
    arrows = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(arrows)
    folders = {path.name for path in (ROOT / "plugins" / "module_utils").iterdir() if path.is_dir()} - {"__pycache__"}
    subjects = folders | {"_start_guard"}
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("\n## Arrows\n")[2]
    shown = {
        source: {name for name in re.findall(r"`(\w+)`", to) if name in folders}
        for sources, to in re.findall(r"^\| (.*) \| (.*) \|$", text, re.MULTILINE)
        for source in re.findall(r"`(\w+)`", sources)
    }
    assert shown == {source: set(arrows.ALLOWED[source]) & folders - {source} for source in subjects}


def test_the_code_names_pages_that_exist() -> None:
    """Comments and messages say where to read on."""
    stale = []
    folders = ("bin", "examples", "inventory", "molecule", "playbooks", "plugins", "roles", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in [ROOT / "Makefile", *files]:
        if path == Path(__file__) or path.suffix in {".pyc", ".gz"} or ".secrets" in path.parts:
            continue
        for name in re.findall(r"(?<![\w/.])docs/[\w./-]+\.(?:md|json|svg)", path.read_text(encoding="utf-8")):
            if not (ROOT / name).exists():
                stale.append(f"{path.relative_to(ROOT)}: {name}")
    assert stale == []


def test_the_runbook_leads_from_every_problem_to_what_to_do() -> None:
    codes = re.findall(
        r"^\| `([a-z-]+)` \|", (ROOT / "docs/reference/problems.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert codes
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    assert [code for code in codes if f"`{code}`" not in runbook] == []
