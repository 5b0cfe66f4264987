# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an AWX holds beside what it was given: each kind of difference, and no false one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._awx import added_to, differences

QUESTION = {"variable": "day", "type": "text", "default": "auto"}
WANTED: dict[str, Any] = {
    "name": "Backup",
    "organization": "Default",
    "project": "Relevo",
    "playbook": "backup.yml",
    "allow_simultaneous": False,
    "extra_vars": {"a": 1},
    "credentials": ["x", "y"],
    "survey_spec": {"name": "", "description": "", "spec": [QUESTION]},
    "state": "present",
}
FOUND: dict[str, Any] = {
    "id": 7,
    "name": "Backup",
    "organization": 1,
    "project": 3,
    "playbook": "backup.yml",
    "allow_simultaneous": False,
    "extra_vars": json.dumps({"a": 1}),
    "summary_fields": {"organization": {"name": "Default"}, "project": {"name": "Relevo"}},
}
RELATED = {"credentials": ["y", "x"]}


def compared(
    wanted: dict[str, Any] | None = None,
    found: dict[str, Any] | None = None,
    survey: dict[str, Any] | None = None,
    related: dict[str, list[str]] | None = None,
) -> list[str]:
    return differences(
        "job_template",
        WANTED | (wanted or {}),
        FOUND | (found or {}),
        WANTED["survey_spec"] if survey is None else survey,
        RELATED if related is None else related,
    )


def test_what_is_there_has_no_difference() -> None:
    assert compared() == []


def test_what_is_missing_is_named() -> None:
    assert differences("job_template", WANTED, None) == ["AWX has no job_template Backup."]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"found": {"playbook": "site.yml"}}, "The job_template Backup has playbook='site.yml', not 'backup.yml'."),
        ({"found": {"allow_simultaneous": True}}, "has allow_simultaneous=True, not False."),
        ({"found": {"extra_vars": ""}}, "has extra_vars={}, not {'a': 1}."),
        ({"found": {"summary_fields": {"project": {"name": "other"}}}}, "has project='other', not 'Relevo'."),
        ({"wanted": {"no_such_field": 1}}, "has no_such_field=None, not 1."),
        ({"related": {"credentials": ["x"]}}, "has credentials x, not x, y."),
        ({"survey": {}}, "The survey of the job_template Backup lacks the question day."),
        ({"survey": {"spec": [{**QUESTION, "default": "1"}]}}, "has another question day than was given."),
        ({"survey": {"spec": [QUESTION, {"variable": "b"}]}}, "has a question b that was not given."),
    ],
)
def test_a_difference_is_said(changed: dict[str, Any], said: str) -> None:
    assert any(sentence.endswith(said) for sentence in compared(**changed)), compared(**changed)


def test_the_fields_of_a_credential_type_are_compared() -> None:
    wanted = {"name": "t", "inputs": {"fields": [{"id": "a"}]}}
    assert differences("credential_type", wanted, wanted) == []
    assert differences("credential_type", wanted, {"name": "t", "inputs": {}})


INVENTORY: dict[str, Any] = {"name": "Relevo", "variables": {"ours": "x"}}


@pytest.mark.parametrize(
    ("held", "wrong"),
    [
        ('{"ours": "x"}', False),
        # An update of the inventory has added what its file says; somebody has written in AWX, as YAML.
        ('{"theirs": 1, "ours": "x"}', False),
        ("---\nours: x\ntheirs: 1\n", False),
        ('{"theirs": 1, "ours": "y"}', True),
        ('{"theirs": 1}', True),
        ("---", True),
        ("", True),
    ],
)
def test_others_may_add_variables_to_an_inventory(held: str, wrong: bool) -> None:
    said = differences("inventory", INVENTORY, {"name": "Relevo", "variables": held})
    assert len(said) == wrong


def test_others_may_not_add_variables_to_a_job() -> None:
    assert compared(found={"extra_vars": json.dumps({"a": 1, "b": 2})})


@pytest.mark.parametrize(
    ("held", "written"),
    [
        (None, {"ours": "x"}),
        ("", {"ours": "x"}),
        ("---", {"ours": "x"}),
        ('{"ours": "y", "theirs": 1}', {"ours": "x", "theirs": 1}),
        ("theirs: 1", {"theirs": 1, "ours": "x"}),
    ],
)
def test_what_others_have_added_to_an_inventory_stays(held: str | None, written: dict[str, Any]) -> None:
    # The order too, since awx.awx compares texts.
    assert list(added_to(held, INVENTORY["variables"]).items()) == list(written.items())


def test_blanks_around_a_text_are_no_difference() -> None:
    assert compared(wanted={"description": "a text\n"}, found={"description": "a text"}) == []


NODES = [
    {
        "identifier": "a",
        "unified_job_template": {"name": "Backup"},
        "extra_data": {"day": "auto"},
        "related": {"success_nodes": [{"identifier": "b"}]},
    },
    {"identifier": "b", "unified_job_template": {"name": "Status"}},
]


def held(**changed: Any) -> list[dict[str, Any]]:
    """The nodes as AWX shows them; ``changed``: fields of the first."""
    first = {
        "id": 1,
        "identifier": "a",
        "extra_data": {"day": "auto"},
        "success_nodes": [2],
        "summary_fields": {"unified_job_template": {"name": "Backup"}},
    }
    second = {"id": 2, "identifier": "b", "summary_fields": {"unified_job_template": {"name": "Status"}}}
    return [first | changed, second]


@pytest.mark.parametrize(
    ("nodes", "wrong"),
    [
        (held(), []),
        (held(success_nodes=[]), ["a"]),
        (held(success_nodes=[], always_nodes=[2]), ["a"]),
        (held(extra_data={}), ["a"]),
        (held(summary_fields={"unified_job_template": {"name": "Catalog"}}), ["a"]),
        (held()[1:], ["a"]),
        ([*held(), {**held()[1], "id": 3, "identifier": "c"}], ["c"]),
    ],
)
def test_the_nodes_of_a_workflow_are_compared(nodes: list[dict[str, Any]], wrong: list[str]) -> None:
    said = differences("workflow_job_template", {"name": "w", "workflow_nodes": NODES}, {"name": "w"}, nodes=nodes)
    assert said == [f"The workflow_job_template w has another node {name} than was given." for name in wrong]
