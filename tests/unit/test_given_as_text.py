"""-e and INI inventories give texts: false is false all the same, and 7 is 7."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.inventory import is_preferred

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted(
    path
    for folder in ("roles", "playbooks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".yml", ".j2") and path.name != "argument_specs.yml"
)


def variables(*types: str) -> Iterator[str]:
    """The variables of the roles' specifications that have one of these types."""
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            options = entry.get("options") or {}
            yield from (name for name, option in options.items() if option.get("type") in types)


BOOLEANS = sorted(set(variables("bool")))
NUMBERS = sorted(set(variables("int", "float")))


def undecided(text: str, name: str) -> list[str]:
    """The lines in which an expression takes a boolean for what it is given as.

    A whole expression may be passed on, since modules and roles convert what they get.
    """
    use = re.compile(rf"(?<![\w.'\"]){name}\b(?!\s*[:=])")
    fine = re.compile(rf"\"{{{{ {name} }}}}\"|\b{name}( \| default\(\w+\))? \| bool\b|^\s*#|{name}: ?(true|false)\b")
    return [line for line in text.splitlines() if use.search(line) and not fine.search(line)]


def test_there_are_some() -> None:
    assert len(BOOLEANS) > 15


@pytest.mark.parametrize("name", BOOLEANS)
def test_a_decision_converts_it(name: str) -> None:
    found = {str(path.relative_to(ROOT)): undecided(path.read_text(encoding="utf-8"), name) for path in TEMPLATES}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line", ["  when: x_y", "archive-async={{ 'y' if x_y else 'n' }}", '  required: "{{ not x_y }}"', "    - x_y and z"]
)
def test_the_check_can_fail(line: str) -> None:
    assert undecided(line, "x_y")


@pytest.mark.parametrize("line", ["x_y: false", '  force: "{{ x_y }}"', "when: x_y | bool", "# x_y is odd"])
def test_the_check_can_pass(line: str) -> None:
    assert undecided(line, "x_y") == []


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
