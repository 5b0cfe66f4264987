# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a host to the play under a further name, for one of the clusters that it serves."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.alias import alias_of, alias_variables
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """As ansible.builtin.add_host does it, but with all variables of a host that is there."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        variables = self._task_vars or {}
        host, hostvars = variables["inventory_hostname"], variables["hostvars"]
        # Not of hostvars[host], which works each value out: some may be of use to other plays only, and fail here.
        given = hostvars.raw_get(host)
        alias = alias_of(host, options["cluster"])

        def resolve(name: str) -> Any:
            try:
                return hostvars[host][name]
            except AnsibleError:
                # Of use to other plays only. Where it is needed here, its own sentence says what is wrong with it.
                return given[name]

        return {
            "changed": False,
            "name": alias,
            "add_host": {
                "host_name": alias,
                "groups": [options["group"]],
                "host_vars": alias_variables(host, options["cluster"], given, resolve),
            },
        }
