"""A role's meta/argument_specs.yml describes exactly the variables of its defaults/main.yml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
# The names that do not carry a role's name: hosts and several roles share what begins so.
SHARED_PREFIXES = ("relevo_",)
SECRET = re.compile(r"password|passphrase|secret|token|private_key|^given$")
# Types that cannot hold a secret, and options that hold the name of one.
HARMLESS_TYPES = {"bool", "path", "int", "float"}
NAMES_OF_SECRETS = {"password_secret"}


def load(role: str, name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "roles" / role / name).read_text(encoding="utf-8")) or {}


def defaults(role: str) -> dict[str, Any]:
    """The public defaults; those that begin with two underscores are the role's own business."""
    if not (ROOT / "roles" / role / "defaults" / "main.yml").exists():
        return {}
    return {key: value for key, value in load(role, "defaults/main.yml").items() if not key.startswith("__")}


def entry_points(role: str) -> dict[str, dict[str, Any]]:
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    return {name: spec.get("options") or {} for name, spec in specs.items()}


def test_there_are_roles() -> None:
    assert ROLES


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_described(role: str) -> None:
    described = {name for options in entry_points(role).values() for name in options}
    assert defaults(role).keys() - described == set()


@pytest.mark.parametrize("role", ROLES)
def test_main_describes_every_default_and_only_required_variables_beside(role: str) -> None:
    points = entry_points(role)
    assert "main" in points
    without_default = points["main"].keys() - defaults(role).keys()
    assert {name for name in without_default if points["main"][name].get("required") is not True} == set()
    assert defaults(role).keys() - points["main"].keys() == set()


@pytest.mark.parametrize("role", ROLES)
def test_options_of_every_entry_point(role: str) -> None:
    problems = []
    values = defaults(role)
    for point, options in entry_points(role).items():
        for name, option in options.items():
            where = f"{point}: {name}"
            if not name.startswith((f"{role}_", *SHARED_PREFIXES)):
                problems.append(f"{where} does not begin with the role's name")
            if not option.get("description"):
                problems.append(f"{where} has no description")
            if "type" not in option:
                problems.append(f"{where} has no type")
            if name in values and option.get("required"):
                problems.append(f"{where} is required and has a default")
            if name not in values and "default" in option:
                problems.append(f"{where} has a default in the description only")
            if name in values and "default" in option and option["default"] != values[name]:
                problems.append(
                    f"{where} has the default {option['default']!r}, defaults/main.yml says {values[name]!r}"
                )
    assert problems == []


def shown_secrets(options: dict[str, Any], where: str, role: str = "") -> list[str]:
    """The options, nested ones too, that can hold a secret and would be shown."""
    found = []
    for name, option in options.items():
        if option.get("no_log") is True:
            continue
        # Each variable of the role "secrets" has that word in its name.
        own = name.removeprefix(f"{role}_")
        if SECRET.search(own) and own not in NAMES_OF_SECRETS and option.get("type") not in HARMLESS_TYPES:
            found.append(f"{where}.{name}")
        found += shown_secrets(option.get("options") or {}, f"{where}.{name}")
    return found


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_hidden(role: str) -> None:
    assert [path for point, options in entry_points(role).items() for path in shown_secrets(options, point, role)] == []


def test_shown_secrets_finds_nested_ones() -> None:
    """The check above can fail."""
    options = {
        "secrets_given": {"type": "dict"},
        "users": {"type": "list", "options": {"password": {"type": "str"}, "password_secret": {"type": "str"}}},
        "secrets_dir": {"type": "path"},
        "hidden": {"type": "dict", "no_log": True, "options": {"password": {"type": "str"}}},
    }
    assert shown_secrets(options, "main") == ["main.secrets_given", "main.users.password"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_wants_the_ansible_of_the_collection(role: str) -> None:
    collection = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["requires_ansible"]
    wanted = load(role, "meta/main.yml")["galaxy_info"]["min_ansible_version"]
    assert collection == f">={wanted}.0"
