# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an AWX holds what it was given: its objects, as its API shows them, beside what was wanted.

AWX ignores fields that it does not know and drops a survey that nobody enabled, without a word. So what was applied is
read back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

#: The endpoint of each kind, which is the name of its module in awx.awx.
ENDPOINTS = {
    "label": "labels",
    "execution_environment": "execution_environments",
    "credential_type": "credential_types",
    "credential": "credentials",
    "notification_template": "notification_templates",
    "project": "projects",
    "inventory": "inventories",
    "inventory_source": "inventory_sources",
    "job_template": "job_templates",
    "workflow_job_template": "workflow_job_templates",
    "schedule": "schedules",
}
#: Kinds that may have a survey, which the API shows at an address of its own.
WITH_SURVEY = ("job_template", "workflow_job_template")
#: What an object is associated with: a list of names, at an address of its own as well.
ASSOCIATIONS = ("credentials", "labels", "notification_templates_error")
#: The ways out of a node of a workflow.
PATHS = ("success_nodes", "failure_nodes", "always_nodes")
#: Options of the modules that are not fields of an object, and what AWX never shows.
NOT_SHOWN = {
    "state", "update_secrets", "wait", "workflow_nodes", "survey_spec", "inputs", "notification_configuration",
    *ASSOCIATIONS,
}  # fmt: skip
#: Kinds that are looked up by their organization and have none themselves.
WITHOUT_ORGANIZATION = ("inventory_source", "schedule")
#: Fields that AWX keeps as text, which people may have written as YAML.
AS_TEXT = ("variables", "extra_vars", "source_vars")
#: Fields to which others add: each update of an inventory writes the variables of its file's group "all" into it.
SHARED = {("inventory", "variables")}


def differences(
    kind: str,
    wanted: Mapping[str, Any],
    found: Mapping[str, Any] | None,
    survey: Mapping[str, Any] | None = None,
    related: Mapping[str, Sequence[str]] | None = None,
    nodes: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Return what AWX holds otherwise than wanted, one sentence each; none when all is there.

    ``wanted``: the options of the module; ``found``: the object, None where there is none; ``survey``: what AWX shows
    at the object's survey; ``related``: the names that are associated with it, by association; ``nodes``: those of a
    workflow.
    """
    name = f"{kind} {wanted['name']}"
    if found is None:
        return [f"AWX has no {name}."]
    left_out = NOT_SHOWN | ({"organization"} if kind in WITHOUT_ORGANIZATION else set())
    wrong = [
        f"The {name} has {field}={shown!r}, not {value!r}."
        for field, value in wanted.items()
        if field not in left_out and (shown := _beside(kind, found, field, value)) != _as_kept(value)
    ]
    wrong += [
        f"The {name} has {field} {_listed(names)}, not {_listed(wanted[field])}."
        for field, names in (related or {}).items()
        if field in wanted and set(names) != set(wanted[field])
    ]
    if kind in WITH_SURVEY:
        wrong += _survey_differences(name, wanted.get("survey_spec") or {}, survey or {})
    wrong += _node_differences(name, wanted.get("workflow_nodes") or [], nodes)
    if kind == "credential_type" and wanted.get("inputs") != found.get("inputs"):
        wrong.append(f"The {name} has other fields than were given.")
    return wrong


def _survey_differences(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return which questions are missing, unknown or different."""
    questions = {question["variable"]: question for question in found.get("spec", [])}
    wrong = []
    for question in wanted.get("spec", []):
        held = questions.pop(question["variable"], None)
        if held is None:
            wrong.append(f"The survey of the {name} lacks the question {question['variable']}.")
        elif held != question:
            wrong.append(f"The survey of the {name} has another question {question['variable']} than was given.")
    wrong += [f"The survey of the {name} has a question {variable} that was not given." for variable in questions]
    return wrong


def _node_differences(name: str, wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which nodes of a workflow run another job, with other answers, or lead elsewhere."""
    names = {node["id"]: node["identifier"] for node in found}
    held = {
        node["identifier"]: (
            _shown(node, "unified_job_template"),
            node.get("extra_data") or {},
            *({names[one] for one in node.get(path, [])} for path in PATHS),
        )
        for node in found
    }
    given = {
        node["identifier"]: (
            node["unified_job_template"]["name"],
            node.get("extra_data") or {},
            *({one["identifier"] for one in node.get("related", {}).get(path, [])} for path in PATHS),
        )
        for node in wanted
    }
    return [
        f"The {name} has another node {identifier} than was given."
        for identifier in sorted(given.keys() | held.keys())
        if given.get(identifier) != held.get(identifier)
    ]


def _shown(found: Mapping[str, Any], field: str) -> Any:
    """A field as the modules take it: another object by its name, what AWX keeps as text as data."""
    summary = found.get("summary_fields", {}).get(field)
    if isinstance(summary, Mapping) and "name" in summary:
        return summary["name"]
    value = found.get(field)
    if field in AS_TEXT and isinstance(value, str):
        return _data(value)
    return value


def _beside(kind: str, found: Mapping[str, Any], field: str, wanted: Any) -> Any:
    """A field as it is shown; of one to which others add, only what was given."""
    shown = _shown(found, field)
    if (kind, field) in SHARED and isinstance(shown, Mapping) and isinstance(wanted, Mapping):
        return {name: value for name, value in shown.items() if name in wanted}
    return shown


def _as_kept(value: Any) -> Any:
    """A value as AWX keeps it: it takes off the blanks around a text."""
    return value.strip() if isinstance(value, str) else value


def added_to(held: str | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of an inventory with ours in them, in the order in which AWX holds them.

    ``held``: what AWX keeps now, as JSON or YAML; None without an inventory. Written so, they are a change only where
    one of ours is.
    """
    return {**_data(held or ""), **wanted}


def _data(text: str) -> dict[str, Any]:
    return yaml_load(text) or {}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "(none)"
