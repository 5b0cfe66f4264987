# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asked for what a play does."""

from __future__ import annotations

DOCUMENTATION = r"""
name: requested_by
short_description: Who asked for what a play does
version_added: 0.1.0
description:
  - The AWX job that runs the play; who asked the control API for it, and the API's job; otherwise the user and the
    machine that run Ansible.
  - Markers, records and the lock of a hand-over show it to others.
author: The Relevo authors (@relevo)
options: {}
"""

EXAMPLES = r"""
handover_by: "{{ lookup('relevo.postgres.requested_by') }}"
"""

RETURN = r"""
_raw:
  description: One text, V(AWX job 12), V(ana (API job 20261126T031204-5c1d0e7f\)) or V(ana@controller).
  type: list
  elements: str
"""

import os
import platform
from collections.abc import Mapping
from typing import Any

from ansible.plugins.lookup import LookupBase

# AWX sets the first, its predecessor the second.
JOB_VARIABLES = ("awx_job_id", "tower_job_id")
USER_VARIABLES = ("awx_user_name", "tower_user_name")
#: What the control API gives its plays: the name of a token, and the job.
API_USER = "RELEVO_REQUESTED_BY"
API_JOB = "RELEVO_API_JOB"


def requested_by(variables: Mapping[str, Any], environment: Mapping[str, str], machine: str) -> str:
    """See DOCUMENTATION."""
    jobs = [variables[name] for name in JOB_VARIABLES if variables.get(name)]
    if jobs:
        return f"AWX job {jobs[0]}"
    if environment.get(API_USER) and environment.get(API_JOB):
        return f"{environment[API_USER]} ({environment[API_JOB]})"
    return f"{environment.get('USER') or 'ansible'}@{machine}"


def person_and_job(variables: Mapping[str, Any], environment: Mapping[str, str], machine: str) -> tuple[str, str]:
    """Who asked, and the number of the AWX job: empty where there is none, or nobody is named as its starter."""
    people = [variables[name] for name in USER_VARIABLES if variables.get(name)]
    jobs = [variables[name] for name in JOB_VARIABLES if variables.get(name)]
    if people and jobs:
        return str(people[0]), str(jobs[0])
    return requested_by(variables, environment, machine), ""


class LookupModule(LookupBase):
    """The lookup of this file."""

    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return who asked."""
        return [requested_by(variables or {}, os.environ, platform.node())]
