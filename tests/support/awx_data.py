"""The objects of roles/awx as data, rendered as Ansible would, without starting it; what AWX renders stays."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2.nativetypes import NativeEnvironment

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "awx"


class _Unsafe(str):
    """Text that Ansible does not render."""


class Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the tag of what Ansible does not render."""


Loader.add_constructor("!unsafe", lambda loader, node: _Unsafe(loader.construct_scalar(node)))


def objects(**settings: Any) -> dict[str, list[dict[str, Any]]]:
    """``controller_templates`` and the others, with the role's defaults and these settings."""
    values = yaml.load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"), Loader) | settings
    for path in sorted((ROLE / "vars" / "main").glob("*.yml")):
        values |= yaml.load(path.read_text(encoding="utf-8"), Loader)
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


def options_of(role: str) -> dict[str, Any]:
    """The variables that a role takes, as its specification has them."""
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return found


def uses(playbook: str, variable: str) -> list[str]:
    """The expressions in which a playbook reads what a person has answered."""
    paths = [ROOT / playbook, ROOT / "playbooks" / Path(playbook).name]
    paths.append(ROOT / "roles" / "operation_lock" / "defaults" / "main.yml")
    found = re.findall(r"\{\{(.*?)\}\}", "".join(path.read_text(encoding="utf-8") for path in paths), re.DOTALL)
    return sorted({one.strip() for one in found if re.search(rf"(?<![\w.|'\"]){variable} \|", one)})


@dataclass(frozen=True)
class Unanswered:
    """What a job does that nobody answered anything: a part of its output, and whether it changes something.

    ``changes``: None where that depends on what was done before; in check mode it is what would change. ``refused``: it
    is red, and nothing was changed; then ``says_to_nothing`` is said to answers that are all empty. ``standby_rules``:
    who is primary afterwards.
    """

    says: str
    changes: bool | None = False
    refused: bool = False
    says_to_nothing: str = ""
    standby_rules: bool = False


#: By template, in an order in which a cluster that is whole goes through all of them and is whole again.
WITHOUT_ANSWERS = {
    "Relevo status": Unanswered("Nothing needs attention."),
    "Relevo catalog": Unanswered("BACKUPS REGISTRADOS EN REDIS"),
    "Relevo catalog check": Unanswered("can be trusted"),
    "Relevo fence test": Unanswered("a container, which its engine fences"),
    "Relevo provision": Unanswered("PLAY RECAP"),
    "Relevo backup": Unanswered("was finished "),
    "Relevo drill": Unanswered("restores", changes=True),
    "Relevo cleanup": Unanswered("retention"),
    "Relevo remove": Unanswered("Nothing was removed.", refused=True, says_to_nothing="Nothing was removed."),
    "Relevo add node": Unanswered("No node was named", refused=True, says_to_nothing="No node was named"),
    "Relevo remove node": Unanswered("No node was named", refused=True, says_to_nothing="No node was named"),
    "Relevo restore beside": Unanswered("scratch instance", changes=True),
    "Relevo restore tables": Unanswered("no database was named", refused=True, says_to_nothing="no database was named"),
    "Relevo restore in place": Unanswered(
        "target_type=time was given without a target", refused=True, says_to_nothing="No target was given"
    ),
    "Relevo restore point": Unanswered(
        "cannot be the name of a restore point", refused=True, says_to_nothing="cannot be the name of a restore point"
    ),
    "Relevo failover plan": Unanswered("Plan of failover for main: Hand over from", changes=True),
    "Relevo rotate": Unanswered(
        "Nobody confirmed that the secrets of", refused=True, says_to_nothing="Nothing was said to be rotated"
    ),
    "Relevo upgrade minor": Unanswered("Nothing to do"),
    "Relevo failover": Unanswered("accepts writes", changes=True, standby_rules=True),
    "Relevo failover forced": Unanswered("the failover has been done", standby_rules=True),
    "Relevo rejoin": Unanswered("follows", standby_rules=True),
    "Relevo failback": Unanswered("accepts writes", changes=True),
}
