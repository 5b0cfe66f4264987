"""-e and INI inventories give texts: false is false all the same, and 7 is 7."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE

from ansible_collections.relevo.postgres.plugins.filter.flag import flag
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import is_preferred

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path
    for folder in ("roles", "playbooks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yml", ".j2") and path.name != "argument_specs.yml"
)


Options = dict[str, dict[str, Any]]


def specified() -> Iterator[Options]:
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            yield entry.get("options") or {}


def variables(*types: str) -> Iterator[str]:
    """The variables of the roles' specifications that have one of these types."""
    for options in specified():
        yield from (name for name, option in options.items() if option.get("type") in types)


def within(options: Options) -> Iterator[str]:
    """The booleans in what lists and dictionaries hold, whose check converts nothing either."""
    for option in options.values():
        inner: Options = option.get("options") or {}
        yield from (name for name, one in inner.items() if one.get("type") == "bool")
        yield from within(inner)


BOOLEANS = sorted(set(variables("bool")))
#: Those that Python reads out of the variables of a host, as they were given.
READ_AS_GIVEN = sorted({*BOOLEANS, "node_preferred_primary", *(name for spec in specified() for name in within(spec))})
NUMBERS = sorted(set(variables("int", "float")))


def undecided(text: str, name: str) -> list[str]:
    """The lines in which an expression takes a boolean for what it is given as.

    A whole expression may be passed on, since modules and roles convert what they get.
    """
    use = re.compile(rf"(?<![\w.'\"]){name}\b(?!\s*[:=])")
    converted = rf"\b{name}( \| default\(\w+\))? \| relevo\.postgres\.flag\b"
    fine = re.compile(rf"\"{{{{ {name} }}}}\"|{converted}|^\s*#|{name}: ?(true|false)\b")
    return [line for line in text.splitlines() if use.search(line) and not fine.search(line)]


def test_there_are_some() -> None:
    assert len(BOOLEANS) > 15
    assert "peer_only" in READ_AS_GIVEN


def read_raw(text: str) -> list[str]:
    """The lines of Python in which one of these is taken for what it is given as."""
    names = "|".join(READ_AS_GIVEN)
    use = re.compile(rf"""(\.get\(|\[)["']({names})["']""")
    return [line.strip() for line in text.splitlines() if use.search(line) and "boolean(" not in line]


def test_python_converts_what_it_reads_out_of_variables() -> None:
    paths = (ROOT / "plugins").rglob("*.py")
    found = {str(path.relative_to(ROOT)): read_raw(path.read_text(encoding="utf-8")) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert read_raw('if user.get("peer_only"):')
    assert read_raw('    if host["node_preferred_primary"] and x:')


@pytest.mark.parametrize("name", BOOLEANS)
def test_a_decision_converts_it(name: str) -> None:
    found = {str(path.relative_to(ROOT)): undecided(path.read_text(encoding="utf-8"), name) for path in TEMPLATES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line", ["  when: x_y", "archive-async={{ 'y' if x_y else 'n' }}", '  required: "{{ not x_y }}"', "    - x_y and z"]
)
def test_the_check_can_fail(line: str) -> None:
    assert undecided(line, "x_y")


@pytest.mark.parametrize(
    "line", ["x_y: false", '  force: "{{ x_y }}"', "when: x_y | relevo.postgres.flag", "# x_y is odd"]
)
def test_the_check_can_pass(line: str) -> None:
    assert undecided(line, "x_y") == []


#: Where a boolean is converted, beside the roles and modules that are given it: how often, by file.
CONVERTED = {
    "playbooks/backup.yml": 2,
    "playbooks/failover.yml": 2,
    "playbooks/remove.yml": 1,
    "playbooks/remove_node.yml": 4,
    "playbooks/restore.yml": 2,
    "playbooks/site.yml": 9,
    "roles/backup_cycle/tasks/one_of_several.yml": 2,
    "roles/backup_cycle/tasks/step.yml": 1,
    "roles/catalog/tasks/behind.yml": 1,
    "roles/catalog/tasks/view.yml": 1,
    "roles/control_api/vars/main.yml": 2,
    "roles/docker_nodes/tasks/remove.yml": 1,
    "roles/handover/tasks/switchover.yml": 1,
    "roles/handover/vars/main.yml": 1,
    "roles/inventory_check/tasks/repository.yml": 1,
    "roles/operation_lock/tasks/main.yml": 1,
    "roles/packages/tasks/main.yml": 1,
    "roles/pgbackrest/templates/pgbackrest.conf.j2": 1,
    "roles/pgbackrest/vars/main.yml": 1,
    "roles/postgresql/tasks/apply.yml": 5,
    "roles/postgresql/tasks/main.yml": 2,
    "roles/postgresql/tasks/synchronous.yml": 1,
    "roles/postgresql/tasks/check_version.yml": 3,
    "roles/redis/tasks/password.yml": 1,
    "roles/schedule/vars/main.yml": 1,
    "roles/secrets/tasks/key_pair.yml": 1,
    "roles/secrets/tasks/check.yml": 1,
    "roles/secrets/tasks/public.yml": 1,
    "roles/secrets/vars/main.yml": 1,
    "roles/upgrade_minor/tasks/look.yml": 1,
    "roles/upgrade_minor/tasks/machine.yml": 1,
    "roles/upgrade_minor/tasks/pgbackrest.yml": 1,
}


def counted(pattern: str) -> dict[str, int]:
    found = {
        str(path.relative_to(ROOT)): len(re.findall(pattern, path.read_text(encoding="utf-8"))) for path in TEMPLATES
    }
    return {path: number for path, number in found.items() if number}


def test_they_are_converted_as_specifications_take_them() -> None:
    """The filter ``bool`` takes ``y`` and ``t``, which a specification lets pass, for false."""
    assert counted(r"\| *(ansible\.builtin\.)?bool\b") == {}
    assert counted(r"\| relevo\.postgres\.flag\b") == CONVERTED


@pytest.mark.parametrize("text", [*BOOLEANS_TRUE, *BOOLEANS_FALSE, "Y", "TRUE", "Off"])
def test_a_flag_is_what_a_specification_takes_it_for(text: object) -> None:
    validated = ArgumentSpecValidator({"it": {"type": "bool"}}).validate({"it": text})
    assert not validated.error_messages
    assert flag(text) is validated.validated_parameters["it"]


@pytest.mark.parametrize("text", ["", "maybe", "2", "ja", [], {}])
def test_what_is_neither_true_nor_false_is_not_false(text: object) -> None:
    with pytest.raises(AnsibleFilterError, match="neither true nor false"):
        flag(text)


def test_nothing_is_false() -> None:
    assert flag(None) is False


@pytest.mark.parametrize(
    ("given", "meant"),
    [(True, True), ("true", True), ("yes", True), (False, False), ("false", False), ("no", False), ("False", False)],
)
def test_the_preferred_primary(given: object, meant: bool) -> None:
    assert is_preferred({"node_preferred_primary": given}) is meant
    assert not is_preferred({})


def compared(text: str, name: str) -> list[str]:
    """The lines in which an expression compares a number with what it was given as."""
    use = re.compile(
        rf"\b{name}( \| (?!int\b|float\b)\w+)* *(==|!=|[<>])|(==|!=|[<>]=?) *{name}\b(?! \| (int|float)\b)"
    )
    return [line for line in text.splitlines() if use.search(line)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_comparison_converts_it(name: str) -> None:
    found = {str(path.relative_to(ROOT)): compared(path.read_text(encoding="utf-8"), name) for path in TEMPLATES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("line", ["when: x_y == 7", "{{ 'a' if 30 < x_y else 'b' }}", "x_y | default(3) > 2"])
def test_the_check_of_numbers_can_fail(line: str) -> None:
    assert compared(line.replace("default(3)", "default"), "x_y")


@pytest.mark.parametrize("line", ["when: x_y | int == 7", "{{ 'a' if 30 < x_y | int else 'b' }}", "x_y: 7"])
def test_the_check_of_numbers_can_pass(line: str) -> None:
    assert compared(line, "x_y") == []
