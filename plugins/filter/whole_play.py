# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a play that must not be cut down by --limit, --tags or --start-at-task."""

from __future__ import annotations

DOCUMENTATION = r"""
name: whole_play
short_description: Refuse to cut a play down by --limit, --tags or --start-at-task
version_added: 0.1.0
description:
  - Returns its input, the hosts of a play. Fails when C(--limit), C(--tags) or C(--start-at-task) was given, or
    C(--skip-tags) for all tasks, since a play that leaves out hosts or tasks would end with 0 without having done what
    it is for. C(--start-at-task) is asked of Ansible, since no variable has it.
author: The Relevo authors (@relevo)
positional: limit, tags, skip_tags
options:
  _input:
    description: The hosts of the play.
    type: str
    required: true
  limit:
    description: The variable C(ansible_limit), empty when it is not defined.
    type: str
    default: ''
  tags:
    description: The variable C(ansible_run_tags).
    type: list
    elements: str
    default: [all]
  skip_tags:
    description: The variable C(ansible_skip_tags).
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
hosts: "{{ 'localhost' | relevo.postgres.whole_play(ansible_limit | default(''), ansible_run_tags) }}"
"""

RETURN = r"""
_value:
  description: The input.
  type: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.plugin_utils._preload import preload

#: What stands for all tasks without a tag.
EVERYTHING = {"all", "untagged"}
#: Ansible gives these to the tasks in which the arguments of a role are judged.
JUDGED = {"always", "tagged"}


def whole_play(hosts: str, limit: str = "", tags: Sequence[str] = ("all",), skip_tags: Sequence[str] = ()) -> str:
    """See DOCUMENTATION."""
    # No task of ours has a tag, so other tags to skip, as Molecule gives some, leave nothing out.
    chosen = {
        "--limit": limit,
        "--tags": set(tags) - EVERYTHING,
        "--skip-tags": set(skip_tags) & (EVERYTHING | JUDGED),
        # Without the tasks before it nothing would be locked, nor checked; with a name that no task has, nothing done.
        "--start-at-task": context.CLIARGS.get("start_at_task"),
    }
    given = [option for option, used in chosen.items() if used]
    if given:
        # No inventory has localhost, so no pattern stands for it but its own name.
        why = " Of localhost, where it begins, no --limit knows, not even all." if limit else ""
        raise AnsibleFilterError(
            f"{' and '.join(given)} would leave out what this playbook is for. Nothing was touched.{why} Run it "
            "without, and choose a cluster with -e cluster=NAME."
        )
    # The one thing that each play asks for in the process that its workers are forked from.
    preload()
    return hosts


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"whole_play": whole_play}
