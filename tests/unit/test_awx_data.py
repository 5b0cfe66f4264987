# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects for AWX fit the modules of awx.awx, AWX's own rules, and the playbooks; each check can fail."""

from __future__ import annotations

import ast
import copy
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awx_data
import awx_rules
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from jinja2.sandbox import ImmutableSandboxedEnvironment
from relevo_api.operations import OPERATIONS
from relevo_api.settings import AWX_TEMPLATES

from ansible_collections.relevo.postgres.plugins.module_utils._awx import ENDPOINTS
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import TYPES

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {
    "awx_project_url": "https://git.example.com/x.git",
    "awx_execution_environment_image": "registry.example.com/ee:1",
    "awx_secrets": {"redis": "x"},
    "awx_notifications": [{"name": "failed", "notification_type": "webhook"}],
    "awx_night_teams": ["night"],
}
OBJECTS = awx_data.objects(**SETTINGS)
MODULES = {
    "controller_labels": "label",
    "controller_execution_environments": "execution_environment",
    "controller_credential_types": "credential_type",
    "controller_credentials": "credential",
    "controller_notifications": "notification_template",
    "controller_projects": "project",
    "controller_inventories": "inventory",
    "controller_inventory_sources": "inventory_source",
    "controller_templates": "job_template",
    "controller_workflows": "workflow_job_template",
    "controller_schedules": "schedule",
    "controller_roles": "role",
}
TEMPLATES = {template["name"]: template for template in OBJECTS["controller_templates"]}
#: Playbooks that are no jobs: they set a machine up, or they are what fills AWX.
NO_JOBS = {"api.yml", "awx.yml", "down.yml", "schedule.yml", "up.yml"}
#: Choices of a role that make no sense in a job's output.
NOT_ASKED = {"html"}


def spec(module: str) -> dict[str, Any]:
    """The argument spec of a module of awx.awx, read without running it."""
    found = importlib.util.find_spec("ansible_collections.awx.awx")
    assert found is not None, "awx.awx is not installed"
    assert found.submodule_search_locations
    source = (Path(found.submodule_search_locations[0]) / "plugins" / "modules" / f"{module}.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "argument_spec":
            text = ast.unparse(node.value).replace(
                "list(KIND_CHOICES.keys())", "['ssh','vault','net','scm','cloud','insights']"
            )
            read: dict[str, Any] = eval(text, {"dict": dict})
            return read
    raise AssertionError(f"{module} has no argument spec")


def misfits(name: str, objects: list[dict[str, Any]]) -> list[str]:
    """What the module would refuse."""
    validator = ArgumentSpecValidator(spec(MODULES[name]))
    return [message for item in objects for message in validator.validate(copy.deepcopy(item)).error_messages]


def test_every_kind_is_applied_and_read_back() -> None:
    assert OBJECTS.keys() == MODULES.keys()
    tasks = yaml.safe_load((ROOT / "roles" / "awx" / "tasks" / "main.yml").read_text(encoding="utf-8"))
    applied = {
        key.removeprefix("awx.awx."): task["loop"] for task in tasks for key in task if key.startswith("awx.awx.")
    }
    assert applied == {module: f"{{{{ {name} }}}}" for name, module in MODULES.items()}
    checked = tasks[-1]["relevo.postgres.awx_objects_check"]["objects"]
    assert checked == {module: f"{{{{ {name} }}}}" for name, module in MODULES.items() if module != "role"}
    assert checked.keys() == ENDPOINTS.keys()


@pytest.mark.parametrize("name", MODULES)
def test_the_modules_take_it(name: str) -> None:
    assert OBJECTS[name]
    assert misfits(name, OBJECTS[name]) == []


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("controller_templates", {"survey": {}}),
        ("controller_templates", {"job_type": "plan"}),
        ("controller_schedules", {"template": "x"}),
        ("controller_inventories", {"kind": "static"}),
        ("controller_credentials", {"update_secrets": "perhaps"}),
    ],
)
def test_a_mistake_is_refused(name: str, mistake: dict[str, Any]) -> None:
    """The check above can fail."""
    assert misfits(name, [{**OBJECTS[name][0], **mistake}])


# --- surveys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_awx_takes_the_survey(name: str) -> None:
    assert awx_rules.survey_problems(TEMPLATES[name]["survey_spec"]) == []
    assert TEMPLATES[name]["survey_enabled"] is True


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_job_depends_on_an_answer(name: str) -> None:
    template = TEMPLATES[name]
    for question in template["survey_spec"]["spec"]:
        assert "default" in question, question["variable"]
        assert question["required"] is False, "schedules lose required answers (AWX 7521, 14186, 15918)"
    # AWX validates the defaults as if they were answered, and drops what it refuses.
    assert awx_rules.answer_problems(template["survey_spec"], awx_data.defaults(template)) == []


QUESTION = {"question_name": "q", "variable": "v", "type": "text", "required": False, "default": ""}


@pytest.mark.parametrize(
    "question",
    [
        {"type": "choice"},
        {"type": "integer", "default": "0"},
        {"type": "multiplechoice", "default": "x", "choices": ["a", "b"]},
        {"type": "multiplechoice", "default": "a"},
        {"min": "0"},
        {"required": "no"},
        {"variable": "twice"},
    ],
)
def test_a_wrong_question_is_noticed(question: dict[str, Any]) -> None:
    other = {**QUESTION, "variable": "twice"}
    assert awx_rules.survey_problems({"name": "", "description": "", "spec": [other, QUESTION]}) == []
    assert awx_rules.survey_problems({"name": "", "description": "", "spec": [other, {**QUESTION, **question}]})


def test_a_survey_without_a_description_is_noticed() -> None:
    assert awx_rules.survey_problems({"name": "", "spec": [QUESTION]})


@pytest.mark.parametrize(
    "answers", [{"day": "7"}, {"wait_for_lock": "60"}, {"wait_for_lock": -1}, {"cluster": "x" * 64}, {"a": 1}]
)
def test_a_wrong_answer_is_noticed(answers: dict[str, Any]) -> None:
    assert awx_rules.answer_problems(TEMPLATES["Relevo backup"]["survey_spec"], answers)


# --- the playbooks ---------------------------------------------------------------------------------------------------


def read_by(playbook: str) -> str:
    """The text in which a playbook's variables are read: its own, and that of the roles that it names."""
    text = (ROOT / playbook).read_text(encoding="utf-8")
    for name in re.findall(r"import_playbook: (\S+)", text):
        text += read_by(str((ROOT / playbook).parent.joinpath(name).relative_to(ROOT)))
    seen: set[str] = set()
    while new := set(re.findall(r"relevo\.postgres\.(\w+)", text)) - seen:
        seen |= new
        text += "".join(
            path.read_text(encoding="utf-8") for role in new for path in (ROOT / "roles" / role).rglob("*.yml")
        )
    return text


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_questions_are_variables_of_the_playbook(name: str) -> None:
    text = read_by(TEMPLATES[name]["playbook"])
    for variable in awx_data.defaults(TEMPLATES[name]):
        assert re.search(rf"\{{\{{[^}}]*\b{variable}\b|\b{variable} \|", text), (
            f"{name} asks for {variable}, which nobody reads"
        )


@pytest.mark.parametrize("name", [name for name, template in TEMPLATES.items() if "extra_vars" in template])
def test_what_a_template_is_is_a_variable_of_its_playbook_and_no_question(name: str) -> None:
    given = TEMPLATES[name]["extra_vars"]
    assert not given.keys() & awx_data.defaults(TEMPLATES[name]).keys()
    text = (ROOT / TEMPLATES[name]["playbook"]).read_text(encoding="utf-8")
    assert [variable for variable in given if f"{{{{ {variable} |" not in text] == []


#: Their playbook reads ``confirm``, but nothing that they can be told to do needs it.
WITHOUT_CONSENT = {"Relevo restore beside"}


def test_what_needs_consent_asks_for_it_and_nobody_has_given_it() -> None:
    asked = {
        name: awx_data.defaults(one) for name, one in TEMPLATES.items() if awx_data.uses(one["playbook"], "confirm")
    }
    assert {name for name, answers in asked.items() if answers.get("confirm") != ""} == WITHOUT_CONSENT
    assert len(asked) >= 4


def test_no_two_templates_are_the_same() -> None:
    """By playbook, job type and what the template says of itself; the two failovers differ by what may be asked."""
    seen = [
        (one["playbook"], one["job_type"], one.get("extra_vars"), one["ask_variables_on_launch"])
        for one in TEMPLATES.values()
    ]
    assert [one for one in seen if seen.count(one) > 1] == []


def test_every_playbook_is_a_job() -> None:
    jobs = {Path(template["playbook"]).name for template in TEMPLATES.values()}
    assert jobs == {path.name for path in (ROOT / "playbooks").glob("*.yml")} - NO_JOBS


@pytest.mark.parametrize(
    ("name", "variable", "role", "option"),
    [
        ("Relevo catalog", "view", "catalog", "catalog_view"),
        ("Relevo catalog", "catalog_language", "catalog", "catalog_language"),
        ("Relevo status", "format", "status", "status_format"),
        ("Relevo status", "require", "status", "status_require"),
        ("Relevo cleanup", "operation", "cleanup", "cleanup_operation"),
        ("Relevo catalog check", "format", "catalog_check", "catalog_check_format"),
    ],
)
def test_the_choices_are_those_of_the_role(name: str, variable: str, role: str, option: str) -> None:
    [question] = [one for one in TEMPLATES[name]["survey_spec"]["spec"] if one["variable"] == variable]
    assert question["choices"] == [one for one in awx_data.options_of(role)[option]["choices"] if one not in NOT_ASKED]
    assert question["default"] == awx_data.options_of(role)[option]["default"]


@pytest.mark.parametrize(("name", "default"), [("beside", "latest"), ("tables", "time"), ("in place", "time")])
def test_the_kinds_of_a_target_are_those_of_the_restore(name: str, default: str) -> None:
    """Data that come back, or go, need a moment that somebody has named."""
    survey = TEMPLATES[f"Relevo restore {name}"]["survey_spec"]
    [question] = [one for one in survey["spec"] if one["variable"] == "target_type"]
    assert set(question["choices"]) == set(TYPES)
    assert question["default"] == default


def test_the_days_are_those_of_the_cycle() -> None:
    [question] = [one for one in TEMPLATES["Relevo backup"]["survey_spec"]["spec"] if one["variable"] == "day"]
    days = awx_data.options_of("backup_cycle")["backup_cycle_days"]["default"]
    assert question["choices"] == ["auto", *map(str, days)]


JOBS = [*OBJECTS["controller_templates"], *OBJECTS["controller_workflows"]]


def test_two_jobs_of_a_template_never_run_at_once() -> None:
    assert [job["name"] for job in JOBS if job["allow_simultaneous"] is not False] == []


def test_somebody_is_told_of_each_job_that_failed() -> None:
    assert [job["name"] for job in JOBS if job["notification_templates_error"] != ["failed"]] == []


def test_each_job_has_both_credentials() -> None:
    names = [credential["name"] for credential in OBJECTS["controller_credentials"]]
    assert [one["name"] for one in OBJECTS["controller_templates"] if one["credentials"] != names] == []


def test_what_the_control_api_starts_takes_its_variables_and_makes_its_plans() -> None:
    """Without these AWX drops what its surveys do not ask, and runs what should be a plan."""
    for operation in OPERATIONS:
        template = TEMPLATES[AWX_TEMPLATES[operation.playbook.removesuffix(".yml")]]
        assert template["ask_variables_on_launch"] is True
        assert template["ask_job_type_on_launch"] is True


def test_the_button_of_the_night_shift_asks_for_no_force() -> None:
    [role] = OBJECTS["controller_roles"]
    assert role["role"] == "execute"
    for name in role["job_templates"]:
        assert not {"force", "fence_living", "restart"} & awx_data.defaults(TEMPLATES[name]).keys()
        assert TEMPLATES[name]["ask_job_type_on_launch"] is False
        assert TEMPLATES[name]["ask_variables_on_launch"] is False
    assert TEMPLATES["Relevo failover plan"]["job_type"] == "check"


# --- the workflow and its schedule -----------------------------------------------------------------------------------


def test_the_nodes_answer_what_their_templates_ask() -> None:
    [workflow] = OBJECTS["controller_workflows"]
    assert awx_rules.survey_problems(workflow["survey_spec"]) == []
    nodes = {node["identifier"]: node for node in workflow["workflow_nodes"]}
    for node in nodes.values():
        template = TEMPLATES[node["unified_job_template"]["name"]]
        assert awx_rules.answer_problems(template["survey_spec"], node.get("extra_data", {})) == []
        # AWX calls a workflow successful when a node failed that has another way out.
        assert node.get("related", {}).keys() <= {"success_nodes"}
        assert {one["identifier"] for one in node.get("related", {}).get("success_nodes", [])} <= nodes.keys()


def test_a_drill_is_made_once_per_cycle_and_a_backup_every_day() -> None:
    rules = {schedule["unified_job_template"]: schedule["rrule"] for schedule in OBJECTS["controller_schedules"]}
    days = len(awx_data.options_of("backup_cycle")["backup_cycle_days"]["default"])
    assert rules["Relevo drill"].endswith(f"FREQ=DAILY;INTERVAL={days}")
    assert rules["Relevo nightly"].endswith("FREQ=DAILY;INTERVAL=1")


def test_awx_takes_the_schedules() -> None:
    jobs = TEMPLATES.keys() | {workflow["name"] for workflow in OBJECTS["controller_workflows"]}
    for schedule in OBJECTS["controller_schedules"]:
        assert awx_rules.rrule_problems(schedule["rrule"]) == []
        assert schedule["unified_job_template"] in jobs
        assert "extra_data" not in schedule, "schedules lose answers: each question has a default"


START = "DTSTART;TZID=UTC:20260101T020000"


@pytest.mark.parametrize(
    "rule",
    [
        "RRULE:FREQ=DAILY;INTERVAL=1",
        "DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1",
        f"{START} {START} RRULE:FREQ=DAILY;INTERVAL=1",
        START,
        f"{START} RRULE:FREQ=DAILY",
        f"{START} RRULE:FREQ=SECONDLY;INTERVAL=1",
        f"{START} RRULE:FREQ=DAILY;INTERVAL=1 EXDATE:20260102T020000Z",
        f"{START} RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=1MO",
        f"{START} RRULE:FREQ=DAILY;INTERVAL=1;COUNT=1000",
        f"{START} RRULE:FREQ=DAILY;INTERVAL=1;COUNT=2;UNTIL=20270101T000000Z",
        f"{START} RRULE:FREQ=NEVER;INTERVAL=1",
    ],
)
def test_a_wrong_rule_is_noticed(rule: str) -> None:
    assert awx_rules.rrule_problems(f"{START} RRULE:FREQ=DAILY;INTERVAL=1") == []
    assert awx_rules.rrule_problems(rule)


# --- the credential ---------------------------------------------------------------------------------------------------

[TYPE] = OBJECTS["controller_credential_types"]


def test_awx_takes_the_credential_type() -> None:
    assert awx_rules.credential_type_problems(TYPE["kind"], TYPE["inputs"], TYPE["injectors"]) == []
    assert all(credential["update_secrets"] is False for credential in OBJECTS["controller_credentials"])


def planted(change: Callable[[dict[str, Any]], object]) -> list[str]:
    wrong = copy.deepcopy(TYPE)
    change(wrong)
    return awx_rules.credential_type_problems(wrong["kind"], wrong["inputs"], wrong["injectors"])


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(kind="ssh"),
        lambda it: it["inputs"]["fields"][0].update(id="tower"),
        lambda it: it["inputs"]["fields"].append(it["inputs"]["fields"][0]),
        lambda it: it["inputs"]["required"].append("nothing"),
        lambda it: it["injectors"].update(env={"ANSIBLE_ROLES_PATH": "x"}),
        lambda it: it["injectors"].update(env={"PATH": "x"}),
        lambda it: it["injectors"]["file"].update(template="x"),
        lambda it: it["injectors"]["file"].update({"template.x": "{{ unknown }}"}),
        lambda it: it["injectors"]["extra_vars"].update(x="{{ tower.filename.unknown }}"),
        lambda it: it["injectors"]["extra_vars"].update(x={"a": "b"}),
    ],
)
def test_a_wrong_credential_type_is_noticed(change: Callable[[dict[str, Any]], object]) -> None:
    assert planted(change)


def test_the_files_of_the_credential_hold_what_was_typed() -> None:
    """Rendered as AWX does (awx/main/models/credential: inject_credential), with what a person can type."""
    typed = {"relevo_replication": 'it\'s "x" \\ {{ y }} & <z>', "redis": "é: #1", "others": "user_shop: 'a: b'"}
    template = ImmutableSandboxedEnvironment().from_string(TYPE["injectors"]["file"]["template.secrets"])
    secrets = yaml.safe_load(template.render(typed))
    assert secrets["relevo_replication"] == typed["relevo_replication"]
    assert secrets["redis"] == typed["redis"]
    assert secrets["user_shop"] == "a: b"
    assert secrets["relevo_monitor"] == ""


def test_the_inventory_reads_the_files_of_the_credential() -> None:
    [inventory] = OBJECTS["controller_inventories"]
    given = TYPE["injectors"]["extra_vars"].keys()
    assert set(re.findall(r"\b(relevo_\w+_file)\b", json.dumps(inventory["variables"]))) == given
    public = awx_data.options_of("secrets").keys() | {"ansible_ssh_common_args", "ansible_host_key_checking"}
    assert inventory["variables"].keys() <= public
