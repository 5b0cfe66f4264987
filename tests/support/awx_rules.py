"""What AWX refuses, written from its sources (release 24.6.1), for data that never met a real AWX.

Each function returns the objections, as sentences; none when AWX would take the value. Where AWX has them: surveys in
awx/api/views/__init__.py (JobTemplateSurveySpec) and awx/main/models/mixins.py (SurveyJobTemplateMixin), rules of
schedules in awx/api/serializers.py (SchedulePreviewSerializer), credential types in awx/main/fields.py, and those of
notifications in NotificationTemplateSerializer and awx/main/notifications.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dateutil.rrule import rrulestr
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

QUESTION_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "textarea": str,
    "password": str,
    "multiplechoice": str,
    "multiselect": str,
    "integer": int,
    "float": (float, int),
}
ENVIRONMENT_BLOCKED = frozenset(
    "VIRTUAL_ENV PATH PYTHONPATH JOB_ID INVENTORY_ID INVENTORY_SOURCE_ID INVENTORY_UPDATE_ID AD_HOC_COMMAND_ID "
    "REST_API_URL REST_API_TOKEN MAX_EVENT_RES CALLBACK_QUEUE CALLBACK_CONNECTION CACHE JOB_CALLBACK_DEBUG "
    "INVENTORY_HOSTVARS AWX_HOST PROJECT_REVISION SUPERVISOR_CONFIG_PATH".split()
)
NAME = re.compile(r"[a-zA-Z_]+[a-zA-Z0-9_]*")


def survey_problems(spec: Mapping[str, Any]) -> list[str]:
    """Objections to a survey."""
    found = [
        f"Field '{field}' is missing from survey spec."
        for field, wanted in (("name", str), ("description", str), ("spec", list))
        if not isinstance(spec.get(field), wanted)
    ]
    if found:
        return found
    if not spec["spec"]:
        return ["'spec' doesn't contain any items."]
    seen: set[str] = set()
    for number, question in enumerate(spec["spec"]):
        found += [f"{problem} (question {number})" for problem in _question_problems(question, seen)]
        seen.add(question.get("variable", ""))
    return found


def _question_problems(question: Mapping[str, Any], seen: set[str]) -> list[str]:
    found = [
        f"'{field}' missing" for field in ("type", "question_name", "variable", "required") if field not in question
    ]
    if found:
        return found
    if not isinstance(question["required"], bool):
        found.append("'required' must be a boolean")
    if question["variable"] in seen:
        found.append(f"'variable' '{question['variable']}' duplicated")
    kind = question["type"]
    if kind not in QUESTION_TYPES:
        return [*found, f"'{kind}' is not an allowed type"]
    default = question.get("default", "")
    if default != "" and not isinstance(default, QUESTION_TYPES[kind]):
        found.append(f"Default value {default} is not of the type {kind}")
    found += [
        f"The {limit} limit must be an integer"
        for limit in ("min", "max")
        if question.get(limit) is not None and not isinstance(question[limit], int)
    ]
    if kind in ("multiplechoice", "multiselect"):
        if "choices" not in question:
            found.append("must specify choices")
        elif "default" in question and default not in question["choices"]:
            found.append("Default choice must be answered from the choices listed")
    return found


def answer_problems(spec: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    """Objections to what a launch, a schedule or a node of a workflow answers."""
    questions = {question["variable"]: question for question in spec.get("spec", [])}
    found = [f"Variables {name} are not allowed on launch" for name in answers if name not in questions]
    for name, question in questions.items():
        if name not in answers:
            if question["required"]:
                found.append(f"'{name}' value missing")
            continue
        value = answers[name]
        if not isinstance(value, QUESTION_TYPES[question["type"]]):
            found.append(f"Value {value} for '{name}' is not of the type {question['type']}")
        elif question["type"] == "multiplechoice" and value not in question["choices"]:
            found.append(f"Value {value} for '{name}' expected to be one of {question['choices']}")
        elif question["type"] in ("text", "integer"):
            size = len(str(value)) if question["type"] == "text" else value
            if not question.get("min", 0) <= size <= question.get("max", size):
                found.append(f"Value {value} for '{name}' is too small or too large")
    return found


def as_kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object as AWX keeps them: awx/main/fields.py, models/schedules.py, REST framework."""
    kept = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
    if "host_filter" in kept:
        kept["host_filter"] = kept["host_filter"] or None
    if "rrule" in kept:
        kept["rrule"] = " ".join(kept["rrule"].split())
    if kept.get("description", "") is None:
        kept["description"] = ""
    return kept


def rrule_problems(rule: str) -> list[str]:
    """Objections to the rule of a schedule."""
    starts = re.findall(r"DTSTART(?:;[^:]+)?:[0-9]+T[0-9]+Z?", rule)
    found = []
    if len(starts) != 1:
        found.append("exactly one DTSTART is required")
    elif not re.search(r"DTSTART(;TZID=[^:]+:[0-9]+T[0-9]+|:[0-9]+T[0-9]+Z)", rule):
        found.append("DTSTART cannot be a naive datetime")
    rules = re.findall(r"RULE:([^\s]*)", rule)
    if not rules:
        found.append("One or more rule required")
    found += [f"{word} not allowed" for word in ("EXDATE", "RDATE") if f"{word}:" in rule.upper()]
    for one in rules:
        if "INTERVAL" not in one:
            found.append("INTERVAL required")
        if "SECONDLY" in one:
            found.append("SECONDLY is not supported")
        if re.search(r"BYDAY=[0-9]+[A-Z]{2}", one):
            found.append("BYDAY with numeric prefix not supported")
        if "COUNT" in one and "UNTIL" in one:
            found.append("both COUNT and UNTIL")
        if (count := re.search(r"COUNT=([0-9]+)", one)) and int(count[1]) > 999:
            found.append("COUNT > 999 is unsupported")
    if not found:
        try:
            rrulestr(rule)
        except ValueError as error:
            found.append(f"rrule parsing failed: {error}")
    return found


def credential_type_problems(kind: str, inputs: Mapping[str, Any], injectors: Mapping[str, Any]) -> list[str]:
    """Objections to a credential type of one's own."""
    found = [] if kind in ("cloud", "net") else [f"kind {kind} is not for custom types: cloud or net"]
    fields = [field.get("id", "") for field in inputs.get("fields", [])]
    found += [
        f"field IDs must be unique and names ({name})"
        for name in fields
        if fields.count(name) > 1 or not NAME.fullmatch(name)
    ]
    if "tower" in fields:
        found.append('"tower" is a reserved field name')
    known = {
        "id",
        "label",
        "type",
        "format",
        "choices",
        "help_text",
        "multiline",
        "secret",
        "ask_at_runtime",
        "default",
    }
    found += [
        f"a field has unknown keys {field.keys() - known}" for field in inputs.get("fields", []) if field.keys() - known
    ]
    found += [f"{name} is required, and not a field" for name in inputs.get("required", []) if name not in fields]
    found += [f"injectors have no {name}" for name in injectors.keys() - {"file", "env", "extra_vars"}]
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in ENVIRONMENT_BLOCKED or not NAME.fullmatch(name):
            found.append(f"Environment variable {name} is not allowed to be used in credentials.")
    return found + _template_problems(fields, injectors)


def _template_problems(fields: list[str], injectors: Mapping[str, Any]) -> list[str]:
    files = list(injectors.get("file", {}))
    found = [
        f"{name} is not template or template.NAME"
        for name in files
        if not re.fullmatch(r"template(\.[a-zA-Z_]\w*)?", name)
    ]
    if "template" in files and len(files) > 1:
        found.append("Must use multi-file syntax when injecting multiple files")
    names = {name.partition(".")[2]: "EXAMPLE_FILENAME" for name in files}
    filename: Any = names if files != ["template"] else "EXAMPLE_FILENAME"
    given = {**dict.fromkeys(fields, "EXAMPLE"), "tower": {"filename": filename}}
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    for part in injectors.values():
        for name, template in part.items():
            if not isinstance(template, str):
                found.append(f"{name} is not a string")
                continue
            try:
                environment.from_string(template).render(given)
            except TemplateError as error:
                found.append(f"{name} uses an undefined field ({error})")
    return found
