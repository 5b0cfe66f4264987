"""Which subject of module_utils may know which: arrows point one way.

A subject is a folder, or a file that stands flat. Whoever needs an arrow that is not in the table has either found the
wrong home for a function or a new idea about the whole; the table is where that is decided.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._guard_files import imported

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
FULL_NAME = "ansible_collections.relevo.postgres.plugins.module_utils."

#: What everybody may use: flat files that know nothing of PostgreSQL.
TOOLS = {
    *("_errors", "_names", "_wait", "_tables", "_durable", "_process", "_operation_plan", "_recovery_window"),
    *("_drill_note", "_authority", "_hung_disk"),
}
#: What stands on a cluster as a whole.
CLUSTER = TOOLS | {"_server", "_repository", "_cluster"}
ALLOWED: dict[str, set[str]] = {
    "_errors": set(),
    "_names": set(),
    "_tables": {"_errors"},
    "_operation_plan": set(),
    "_recovery_window": set(),
    "_drill_note": set(),
    "_authority": set(),
    "_wait": {"_errors"},
    "_hung_disk": {"_errors"},
    "_durable": {"_errors"},
    "_process": {"_errors", "_names", "_wait"},
    "_module": {"_errors"},
    "_files": {"_errors", "_durable"},
    "_awx": set(),
    "_secrets": {"_errors", "_names", "_durable"},
    "_held_secrets": {"_errors"},
    "_schedule": TOOLS,
    "_seed": {"_errors", "_names", "_process"},
    "_catalog": TOOLS,
    "_server": TOOLS,
    "_repository": TOOLS | {"_server"},
    "_cluster": TOOLS | {"_server"},
    "_nodes": TOOLS | {"_server"},
    # It knows the catalog beside the cluster: what a backup asks and records is one program each.
    "_backup": CLUSTER | {"_catalog"},
    "_rejoin": CLUSTER,
    "_handover": CLUSTER,
    # Tables are loaded as seed files are.
    "_restore": CLUSTER | {"_seed"},
    # It is installed on the nodes with all that it imports, and nobody imports it but the module that installs it.
    "_start_guard": CLUSTER,
    "_guard_files": {"_files"},
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(MODULE_UTILS).with_suffix("").parts)


def subject(module: str) -> str:
    return module.partition(".")[0]


IMPORTS = {
    module_name(path): set(imported(module_name(path), path.read_text(encoding="utf-8")))
    for path in sorted(MODULE_UTILS.rglob("*.py"))
}


@pytest.mark.parametrize("module", IMPORTS)
def test_every_arrow_between_subjects_is_allowed(module: str) -> None:
    known = {subject(other) for other in IMPORTS[module]} - {subject(module)}
    assert known <= ALLOWED[subject(module)], f"{module} imports what it must not"


def test_every_import_is_a_file_that_is_there() -> None:
    assert {other for others in IMPORTS.values() for other in others} <= set(IMPORTS)


def test_what_the_table_allows_has_no_circle() -> None:
    TopologicalSorter(ALLOWED).prepare()


def test_the_files_have_no_circle_either() -> None:
    TopologicalSorter(IMPORTS).prepare()


def test_within_module_utils_imports_are_relative() -> None:
    """The start guard's sources stand under another name on a node."""
    for path in MODULE_UTILS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.startswith("ansible_collections")], path


def test_a_folder_has_no_code_of_its_own() -> None:
    assert not [path for path in MODULE_UTILS.rglob("__init__.py") if path.read_text()]


@pytest.mark.parametrize("never", ["_server", "_cluster", "_repository", "_nodes", "_catalog"])
def test_nothing_below_knows_a_procedure(never: str) -> None:
    assert not ALLOWED[never] & {"_rejoin", "_handover", "_restore", "_backup", "_start_guard"}


def test_only_its_module_imports_the_start_guard() -> None:
    users = [module for module, others in IMPORTS.items() if "_start_guard" in others]
    for path in (path for path in PLUGINS.rglob("*.py") if MODULE_UTILS not in path.parents):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FULL_NAME.rstrip(".")):
                full = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                users += [path.stem] if any(f"{FULL_NAME}_start_guard" in str(name) for name in full) else []
    assert set(users) == {"pg_start_guard"}
