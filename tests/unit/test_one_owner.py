# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path, a port, a pattern, a default is written once, and what has to repeat it, in YAML, is held to that.

``fence_record`` was written to one path and read below another: two owners of one fact had drifted apart.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container_plan
from ansible_collections.relevo.postgres.plugins.module_utils._repository import command, fence_record
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
NAMES = "module_utils/_names.py"

#: What only one file may spell out, with that file. Sentences may name a path to people, and documentation has to.
OWNED: dict[str | int, str] = {
    5432: NAMES,
    6379: NAMES,
    8432: NAMES,
    5000: NAMES,
    5001: NAMES,
    "/etc/relevo": NAMES,
    "/etc/pgbackrest": NAMES,
    "/var/lib/pgbackrest": NAMES,
    "/var/lib/postgresql": NAMES,
    "/var/run/postgresql": NAMES,
    "/usr/lib/postgresql": NAMES,
    fence_record.FOLDER: "module_utils/_repository/fence_record.py",
    SEGMENT.pattern: "module_utils/_server/lsn.py",
    "archive-get %f": "module_utils/_repository/command.py",
}
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
#: Three words in a row.
SENTENCE = re.compile(r"[a-z],? [a-z]+ [a-z]")


@cache
def constants(source: str) -> tuple[str | int, ...]:
    """The strings and numbers of the code; no docstrings, no module's documentation, no sentences."""
    tree = ast.parse(source)
    for_people = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        or (isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & DOCUMENTATION)
    }
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in for_people]
    texts = [value for value in values if isinstance(value, str) and not SENTENCE.search(value)]
    return (*texts, *(value for value in values if type(value) is int))


def found(fact: str | int, source: str) -> bool:
    return any(
        one == fact if isinstance(fact, int) else isinstance(one, str) and fact in one for one in constants(source)
    )


SOURCES = {
    str(path.relative_to(PLUGINS)): path.read_text(encoding="utf-8")
    for path in sorted(PLUGINS.rglob("*.py"))
    if "doc_fragments" not in path.parts
}


@pytest.mark.parametrize("fact", OWNED, ids=str)
def test_a_fact_is_written_once(fact: str | int) -> None:
    assert [name for name, source in SOURCES.items() if found(fact, source)] == [OWNED[fact]]


@pytest.mark.parametrize(
    ("source", "fact", "there"),
    [
        ('PORT = {"default": 5432}', 5432, True),
        ('PATH = "/etc/relevo/pgpass"', "/etc/relevo", True),
        ('PATH = f"{x}/etc/relevo"', "/etc/relevo", True),
        ('"""In /etc/relevo."""', "/etc/relevo", False),
        ('DOCUMENTATION = "default: /etc/relevo"', "/etc/relevo", False),
        ('say("Look at its certificate in /etc/relevo/tls, which site.yml writes.")', "/etc/relevo", False),
    ],
)
def test_the_check_can_fail_and_spares_what_is_for_people(source: str, fact: str | int, there: bool) -> None:
    assert found(fact, source) is there


# --- calls that have one owner ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "owners"),
    [
        # A file that survives a power cut, its directory too.
        ("os.fsync", {"module_utils/_durable.py"}),
        # Another user's rights, and an environment of its own.
        ("extra_groups", {"module_utils/_process.py"}),
        ("--log-level-stderr=", {"module_utils/_repository/command.py", "module_utils/_repository/pgbackrest.py"}),
        ("'repo-get'", {"module_utils/_repository/command.py"}),
    ],
)
def test_a_way_to_do_something_is_written_once(call: str, owners: set[str]) -> None:
    using = {name for name, source in SOURCES.items() if any(call in line for line in code_lines(source))}
    assert using == owners


@cache
def code_lines(source: str) -> tuple[str, ...]:
    """Without comments and documentation."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
        if isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & DOCUMENTATION:
            node.value = ast.Constant("")
    return tuple(ast.unparse(tree).splitlines())


def test_restore_command_never_fetches_asynchronously() -> None:
    assert "--no-archive-async" in command.restore_command("main")


# --- the same facts in YAML ------------------------------------------------------------------------------------------


def role_defaults() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "roles").glob("*/defaults/main.yml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return found


DEFAULTS = role_defaults()


@pytest.mark.parametrize(
    ("variable", "owner"),
    [
        ("postgresql_port", _names.PORT),
        ("redis_port", _names.REDIS_PORT),
        ("pgbackrest_port", _names.PGBACKREST_PORT),
        ("haproxy_port", _names.PROXY_PORT),
        ("haproxy_read_only_port", _names.PROXY_READ_ONLY_PORT),
        ("pgbackrest_repo_path", str(_names.REPOSITORY_DIR)),
        ("pgbackrest_socket_dir", str(_names.SOCKET_DIR)),
        ("pgbackrest_tls_dir", str(_names.CA_FILE.parent)),
        ("redis_data_dir", str(_names.VOLUMES["redis"])),
        ("restore_directory", str(_names.SCRATCH_DIR)),
        ("seed_unix_socket", str(_names.SOCKET_DIR)),
    ],
)
def test_a_roles_default_is_that_of_the_code(variable: str, owner: str | int) -> None:
    assert DEFAULTS[variable] == owner


def test_the_ports_of_a_container_are_those_of_the_roles() -> None:
    variables = {kind: f"{'postgresql' if kind == 'postgres' else kind}_port" for kind in container_plan.PORTS}
    assert {kind: DEFAULTS[variable] for kind, variable in variables.items()} == container_plan.PORTS


#: ``NAME | default(LITERAL)``, of a variable that is another role's.
BORROWED = re.compile(r"\b(\w+) ?\| ?default\((?:'([^']*)'|([0-9.]+|true|false|\[\]|\{\}))(?:, ?true)?\)")
#: A backup of one's own may have another value than the configuration; 0 and empty leave it to that.
LEFT_TO_THE_CONFIGURATION = {
    *("pgbackrest_process_max", "pgbackrest_retention_full", "pgbackrest_repo2_retention_full"),
    "catalog_redis_password",
}


def borrowed(text: str) -> list[tuple[str, str]]:
    """What a role takes for a variable of another one where that was not set, as text."""
    return [(name, number or word) for name, word, number in BORROWED.findall(text)]


def as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for folder in ("roles", "playbooks")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yml", ".j2")
    ),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_one_role_takes_for_anothers_default_is_that(path: Path) -> None:
    for name, literal in borrowed(path.read_text(encoding="utf-8")):
        if name in DEFAULTS and name not in LEFT_TO_THE_CONFIGURATION:
            assert as_text(DEFAULTS[name]) == literal, name


def test_a_borrowed_default_is_found() -> None:
    text = "{{ restore_directory | default('/srv') }} {{ postgresql_port | default(5433) }}"
    assert borrowed(text) == [("restore_directory", "/srv"), ("postgresql_port", "5433")]
