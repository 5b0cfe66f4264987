# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which clusters a play goes on with, and say which are left out."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from ansible_collections.relevo.postgres.plugins.module_utils._cluster import left_out
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._output import speaks_json

display = Display()


class ActionModule(ControllerAction):
    """The decision is in module_utils/_cluster/left_out; here the hosts' facts are read."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "found": {"type": "dict", "required": True},
            "already": {"type": "dict", "default": {}},
            "refused": {"type": "dict", "default": {}},
            "fact": {"type": "str", "default": ""},
            "fenced": {"type": "list", "elements": "str", "default": []},
            "together": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        found, already = options["found"], options["already"]
        needed: dict[str, list[str]] = found["needed"]
        servers = {cluster: found["servers"][cluster] for cluster in needed}
        # The first reason stays: what comes after was not asked of these clusters any more.
        refused = (
            left_out.refused_by_host(needed, self._said(needed, options["fact"]))
            | left_out.all_fenced(servers, options["fenced"])
            | options["refused"]
            | already
        )
        apart = left_out.set_apart(needed, found["all_clusters"], refused, options["together"])
        for cluster, why in apart.left_out.items():
            if cluster not in already and not speaks_json():
                # The others go on, and may fail so that the end of the play, which repeats this, is not reached.
                display.display(f"\nThe cluster {cluster} is left out. {why}")
        return {
            "changed": False,
            "left_out": apart.left_out,
            "hosts": apart.hosts,
            "kept": apart.kept,
            "text": left_out.text(apart.left_out, len(needed)),
        }

    def _said(self, needed: dict[str, list[str]], fact: str) -> dict[str, str]:
        """What each host has noted against working on it."""
        if not fact:
            return {}
        hostvars = (self._task_vars or {})["hostvars"]
        names = dict.fromkeys(host for hosts in needed.values() for host in hosts)
        return {name: str(hostvars[name].get(fact) or "") for name in names}
