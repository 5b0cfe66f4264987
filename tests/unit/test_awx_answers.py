# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the jobs of AWX make of answers: an empty one is the playbook's own default or refused, for every question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import awx_data
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.relevo.postgres.plugins.filter.flag import flag

ROOT = awx_data.ROOT
TEMPLATES = {one["name"]: one for one in awx_data.objects()["controller_templates"]}
#: Read by a role itself, as a choice of its specification: Ansible refuses an empty one.
OF_A_ROLE = {"catalog_language": ("catalog", "catalog_language")}
#: Where the playbook asks a terminal, and the survey names what happens without one.
UNASKED = {"operation": "show", "remove_backups": "none"}
#: What a playbook found before it reads an answer: one cluster, for which alone the play's own lock is waited for.
FOUND = {"inventory_check_found": {"clusters": ["main"]}}


def value_of(expression: str, **answers: Any) -> Any:
    environment = NativeEnvironment()
    environment.filters["relevo.postgres.flag"] = flag
    return environment.from_string(f"{{{{ {expression} }}}}").render(FOUND | answers)


QUESTIONS = sorted(
    {(template["playbook"], variable) for template in TEMPLATES.values() for variable in awx_data.defaults(template)}
)


@pytest.mark.parametrize(("playbook", "variable"), QUESTIONS)
def test_an_empty_answer_is_the_playbook_s_own_default(playbook: str, variable: str) -> None:
    if variable in OF_A_ROLE:
        role, option = OF_A_ROLE[variable]
        assert "" not in awx_data.options_of(role)[option]["choices"]
        return
    assert awx_data.uses(playbook, variable), f"where {playbook} reads {variable} is not found"
    for expression in awx_data.uses(playbook, variable):
        # AWX gives !unsafe '', which ansible-core 2.19 reads as null; Semaphore and -e give an empty text.
        for empty in (None, ""):
            assert value_of(expression, **{variable: empty}) == value_of(expression), expression


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_defaults_of_a_survey_mean_what_no_answer_means(name: str) -> None:
    """But for the kinds of a target and of secrets: without any answer a restore, or a rotation, is refused."""
    for variable, default in awx_data.defaults(TEMPLATES[name]).items():
        if variable in OF_A_ROLE:
            role, option = OF_A_ROLE[variable]
            assert default == awx_data.options_of(role)[option]["default"]
        elif variable not in ("target_type", "rotate"):
            for expression in awx_data.uses(TEMPLATES[name]["playbook"], variable):
                assert value_of(expression, **{variable: default}) in (value_of(expression), UNASKED.get(variable))


UNATTENDED = "awx_job_id is not defined"
#: Playbooks that ask, and are no job.
NO_JOBS = {"down.yml"}


def tasks_of(found: Any) -> Iterator[dict[str, Any]]:
    """Every task of a file, those of plays and blocks as well."""
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict):
            yield one
            for within in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
                yield from tasks_of(one.get(within))


def test_an_empty_answer_that_is_taken_for_one_is_noticed() -> None:
    """The checks above can fail."""
    assert value_of("day | default('auto')", day="") != value_of("day | default('auto')")
    with pytest.raises(AnsibleFilterError, match="neither true nor false"):
        value_of("force | default(false) | relevo.postgres.flag", force="")


def test_no_job_waits_for_somebody_to_type() -> None:
    """ansible-runner gives a play a terminal, at which nobody sits when AWX started it."""
    asking = [
        (path, task)
        for folder in ("roles", "playbooks")
        for path in (ROOT / folder).rglob("*.yml")
        for task in tasks_of(yaml.load(path.read_text(encoding="utf-8"), awx_data.Loader))
        if "ansible.builtin.pause" in task and path.name not in NO_JOBS
    ]
    assert len(asking) >= 5
    assert [f"{path.name}: {task['name']}" for path, task in asking if UNATTENDED not in (task.get("when") or [])] == []


def test_it_is_known_what_each_job_does_that_nobody_answered() -> None:
    """tests/integration/test_x_awx_jobs.py runs them all so; a new template needs a row there."""
    assert awx_data.WITHOUT_ANSWERS.keys() == TEMPLATES.keys()
