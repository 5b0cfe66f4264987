"""Every module is documented completely, and hides what is secret."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
SECRET = re.compile(r"password|passphrase|secret|token|private_key|(^|_)key$")
# Types that cannot hold a secret themselves.
HARMLESS_TYPES = {"bool", "path", "int", "float"}


class CapturedError(Exception):
    """Carries what a module gave to AnsibleModule, so that its main() ends there."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.arguments = arguments


def constants(module: str) -> dict[str, str]:
    """The module's string constants, read without running it."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8"))
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def is_documentation_only(module: str) -> bool:
    """An action plugin does the work: the module of its name only carries the documentation."""
    code = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8")
    return "AnsibleModule" not in code and (ROOT / "plugins" / "action" / f"{module}.py").exists()


def undescribed(entries: dict[str, Any], where: str) -> list[str]:
    """The options or return values, nested ones too, that have no description."""
    found = []
    for name, entry in entries.items():
        path = f"{where}.{name}"
        if not entry.get("description"):
            found.append(path)
        for nested in ("suboptions", "contains"):
            found += undescribed(entry.get(nested) or {}, path)
    return found


def unhidden(options: dict[str, Any], where: str) -> list[str]:
    """The options, nested ones too, that can hold a secret and would be shown."""
    found = []
    for name, option in options.items():
        path = f"{where}.{name}"
        if SECRET.search(name) and option.get("type", "str") not in HARMLESS_TYPES and option.get("no_log") is not True:
            found.append(path)
        if option.get("no_log") is not True:
            found += unhidden(option.get("options") or {}, path)
    return found


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    """What ansible-doc makes of all modules; one call, since each costs about a second."""
    command = [str(Path(sys.executable).with_name("ansible-doc")), "--type", "module", "--json"]
    names = [f"relevo.postgres.{module}" for module in MODULES]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    result = subprocess.run([*command, *names], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_there_are_modules() -> None:
    assert MODULES


@pytest.mark.parametrize("module", MODULES)
def test_constants_are_complete(module: str) -> None:
    texts = constants(module)
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    assert documentation["module"] == module
    for key in ("short_description", "description", "author", "version_added"):
        assert documentation.get(key), f"DOCUMENTATION has no {key}"
    assert undescribed(documentation.get("options") or {}, "DOCUMENTATION") == []

    examples = yaml.safe_load(texts["EXAMPLES"])
    assert examples
    for example in examples:
        assert example.get("name"), f"an example without a name: {example}"
    assert any(f"relevo.postgres.{module}" in example for example in examples), "no example calls the module"

    returned = yaml.safe_load(texts["RETURN"])
    assert returned
    assert undescribed(returned, "RETURN") == []


@pytest.mark.parametrize("module", MODULES)
def test_ansible_doc_renders(module: str, rendered: dict[str, Any]) -> None:
    page = rendered[f"relevo.postgres.{module}"]
    assert page["doc"]["module"] == module
    assert page["examples"]
    assert page["return"]
    # The fragments are merged in by now.
    assert undescribed(page["doc"].get("options") or {}, "options") == []


@pytest.mark.parametrize("module", [module for module in MODULES if not is_documentation_only(module)])
def test_secrets_are_hidden(module: str, monkeypatch: pytest.MonkeyPatch, rendered: dict[str, Any]) -> None:
    def capture(*_positional: Any, **arguments: Any) -> NoReturn:
        raise CapturedError(arguments)

    loaded = importlib.import_module(f"ansible_collections.relevo.postgres.plugins.modules.{module}")
    monkeypatch.setattr(loaded, "AnsibleModule", capture)
    with pytest.raises(CapturedError) as captured:
        loaded.main()
    options = captured.value.arguments["argument_spec"]
    assert unhidden(options, module) == []
    assert options.keys() == (rendered[f"relevo.postgres.{module}"]["doc"].get("options") or {}).keys()


def test_unhidden_finds_nested_secrets() -> None:
    """The check above can fail."""
    options = {
        "redis": {"type": "dict", "options": {"password": {"type": "str"}, "password_file": {"type": "path"}}},
        "hidden": {"type": "dict", "no_log": True, "options": {"token": {}}},
    }
    assert unhidden(options, "x") == ["x.redis.password"]
