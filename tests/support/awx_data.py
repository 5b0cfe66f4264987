"""The objects of roles/awx as data, rendered as Ansible would, without starting it; what AWX renders stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "awx"


class _Unsafe(str):
    """Text that Ansible does not render."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the tag of what Ansible does not render."""


_Loader.add_constructor("!unsafe", lambda loader, node: _Unsafe(loader.construct_scalar(node)))


def objects(**settings: Any) -> dict[str, list[dict[str, Any]]]:
    """``controller_templates`` and the others, with the role's defaults and these settings."""
    values = yaml.load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"), _Loader) | settings
    for path in sorted((ROLE / "vars" / "main").glob("*.yml")):
        values |= yaml.load(path.read_text(encoding="utf-8"), _Loader)
    environment = NativeEnvironment()
    values["awx_notified"] = _render(values["awx_notified"], environment, values)
    rendered = {
        name: _render(value, environment, values) for name, value in values.items() if name.startswith("controller_")
    }
    found: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(rendered))
    return found


def _render(value: Any, environment: NativeEnvironment, variables: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _render(one, environment, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_render(one, environment, variables) for one in value]
    if isinstance(value, str) and not isinstance(value, _Unsafe) and "{{" in value:
        return environment.from_string(value).render(variables)
    return value


def defaults(template: dict[str, Any]) -> dict[str, Any]:
    """What AWX gives a job that nobody answered anything: the defaults of its template's survey."""
    return {question["variable"]: question["default"] for question in template["survey_spec"]["spec"]}
