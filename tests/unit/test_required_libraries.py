"""A module that cannot work without psycopg says so, in a sentence and not in a traceback."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
FULL_NAME = "ansible_collections.relevo.postgres.plugins.module_utils."
SOURCES = {
    ".".join(path.relative_to(PLUGINS / "module_utils").with_suffix("").parts): path.read_text(encoding="utf-8")
    for path in (PLUGINS / "module_utils").rglob("*.py")
}
#: They load what they do not call: the shape of options, the windows of a restore; and
#: on a node without PostgreSQL there is no library.
WITHOUT = {"pg_start_guard", "held_secrets_info", "catalog_info", "catalog_view"}
MODULES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((PLUGINS / "modules").glob("*.py"))}


def loaded(name: str, source: str) -> set[str]:
    """The modules of module_utils that are loaded with a source: imports within functions do not count."""
    found = set()
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = [*name.split(".")[: -node.level], *(node.module.split(".") if node.module else [])]
        elif f"{node.module}.".startswith(FULL_NAME):
            base = f"{node.module}."[len(FULL_NAME) :].strip(".").split(".")
        else:
            continue
        base = [part for part in base if part]
        found |= {".".join(base)} if ".".join(base) in SOURCES else {".".join([*base, a.name]) for a in node.names}
    return found & set(SOURCES)


def needs_psycopg(module: str) -> bool:
    seen: set[str] = set()
    waiting = list(loaded(module, MODULES[module]))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += loaded(name, SOURCES[name])
    # A method that loads the library itself, only when it is called.
    return module not in WITHOUT and ("_server.session" in seen or ".wait_ready(" in MODULES[module])


@pytest.mark.parametrize("module", [module for module in MODULES if needs_psycopg(module)])
def test_a_missing_library_is_a_sentence(module: str) -> None:
    calls = [ast.unparse(node) for node in ast.walk(ast.parse(MODULES[module])) if isinstance(node, ast.Call)]
    assert "require_libraries(module, {'psycopg': PSYCOPG_IMPORT_ERROR})" in calls


def test_the_modules_that_need_it_are_found() -> None:
    needing = {module for module in MODULES if needs_psycopg(module)}
    assert {"pg_initdb", "pg_rejoin", "pg_archive_gap", "pg_service"} <= needing
    assert not needing & {"managed_files", "pgbackrest_info"}
