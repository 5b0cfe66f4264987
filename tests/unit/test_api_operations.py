# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of operations: what a request may say, and who may say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from awx_data import objects
from awx_rules import answer_problems
from pydantic import ValidationError
from relevo_api.operations import OPERATIONS, Operation, Variable, served
from relevo_api.plays import answers_of
from relevo_api.settings import AWX_TEMPLATES, template_key

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {one.name: one for one in OPERATIONS}


def test_only_what_has_its_playbook_is_served(tmp_path: Path) -> None:
    (tmp_path / "rejoin.yml").touch()
    assert list(served(tmp_path)) == ["rejoin"]
    assert {"switchover", "failover", "failback", "rejoin", "backups"} <= served(ROOT / "playbooks").keys()


@pytest.mark.parametrize("operation", served(ROOT / "playbooks").values(), ids=lambda one: one.name)
def test_a_playbook_knows_the_variables_of_its_operation(operation: Operation) -> None:
    text = (ROOT / "playbooks" / operation.playbook).read_text(encoding="utf-8")
    # A confirmation is wanted by the API, too, which does not wait for a play to ask for it.
    assert [one.name for one in operation.variables if one.name not in text and one.name != "confirm"] == []


@pytest.mark.parametrize(
    ("name", "values", "scope"),
    [
        ("failover", {"force": True}, "operate"),
        ("backups", {}, "operate"),
        ("restores", {"target": "x"}, "operate"),
        ("restores", {"to": "beside"}, "operate"),
        ("restores", {"to": "cluster"}, "destroy"),
        ("cleanup", {}, "operate"),
        ("cleanup", {"operation": "show"}, "operate"),
        ("cleanup", {"operation": "keep"}, "destroy"),
        ("cleanup", {"operation": "all"}, "destroy"),
    ],
)
def test_what_can_lose_data_needs_the_scope_for_it(name: str, values: dict[str, Any], scope: str) -> None:
    assert BY_NAME[name].scope(values) == scope


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("failover", {"candidate": "{{ lookup('file', '/etc/shadow') }}"}),
        ("failover", {"candidate": "a b"}),
        ("failover", {"candidate": ["a"]}),
        ("failover", {"force": "perhaps"}),
        ("failover", {"ansible_connection": "local"}),
        ("backups", {"day": "7"}),
        ("restores", {"target": "{{ x }}"}),
        ("restores", {"target": "a\nb"}),
        ("restores", {"timeline": "current"}),
        ("cleanup", {"keep": -1}),
        ("rejoin", {"cluster": "other"}),
    ],
)
def test_what_a_play_should_never_see_is_refused(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BY_NAME[name].body.model_validate(values)


def test_a_point_in_time_is_text() -> None:
    given = BY_NAME["restores"].body.model_validate({"target": "2026-11-30 12:00:00+01:00", "target_type": "time"})
    assert given.model_dump(exclude_none=True) == {"target": "2026-11-30 12:00:00+01:00", "target_type": "time"}


def test_digits_of_a_timeline_are_its_number() -> None:
    given = BY_NAME["restores"].body.model_validate({"timeline": "7"})
    assert given.model_dump(exclude_none=True) == {"timeline": 7}


def examples(variable: Variable) -> list[Any]:
    if variable.kind == "flag":
        return [True, False]
    return list(variable.choices) or ([3] if variable.kind == "number" else ["word"])


@pytest.mark.parametrize(
    ("operation", "variable", "value"),
    [(one, each, value) for one in OPERATIONS for each in one.variables for value in examples(each)],
    ids=lambda given: getattr(given, "name", str(given)),
)
@pytest.mark.parametrize("to", ["beside", "cluster"])
def test_what_is_asked_of_the_api_is_an_answer_that_the_survey_takes(
    operation: Operation, variable: Variable, value: Any, to: str
) -> None:
    """AWX refuses an answer of another type, or one that is not among the choices."""
    place = {"to": to} if operation.name == "restores" else {}
    asked = operation.body.model_validate({**place, variable.name: value})
    answers = answers_of(asked.model_dump(exclude_none=True))
    name = AWX_TEMPLATES[template_key(operation.playbook, answers)]
    [survey] = [one["survey_spec"] for one in objects()["controller_templates"] if one["name"] == name]
    surveyed = {question["variable"] for question in survey["spec"]}
    assert answer_problems(survey, {key: value for key, value in answers.items() if key in surveyed}) == []


#: How the documentation calls an operation: its name, and what it sends.
CALL = re.compile(r"""-X POST "?\$U/(\w+)(?:\?plan=true)?"? --json '(\{.*?\})'""")
ROW = re.compile(r"^\| `POST …/(\w+)` \| `(\w+\.yml)` \| (.*) \|$", re.MULTILINE)


def test_the_documentation_has_an_example_of_each_operation_and_each_can_be_sent() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    calls, rows = CALL.findall(text), ROW.findall(text)
    assert {name for name, _body in calls} == BY_NAME.keys()
    assert {name: playbook for name, playbook, _examples in rows} == {one.name: one.playbook for one in OPERATIONS}
    shown = [(name, body) for name, _playbook, examples in rows for body in re.findall(r"`(\{.*?\})`", examples)]
    assert {name for name, _body in shown} == BY_NAME.keys()
    for name, body in calls + shown:
        BY_NAME[name].body.model_validate_json(body)
