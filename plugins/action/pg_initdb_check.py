# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say whether a new cluster may be made, or refuse."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.founding import (
    Holding,
    RepositoryHolding,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction


class ActionModule(ControllerAction):
    """``pgbackrest_info`` asks on the repository host, ``_cluster/founding`` decides here."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "cluster": {"type": "str", "required": True},
            "preferred": {"type": "str", "required": True},
            "nodes": {"type": "dict", "required": True},
            "new_cluster": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        nodes = {name: Holding.of(given) if given else None for name, given in options["nodes"].items()}
        repository = None
        # Where a node holds data, or does not answer, the repository need not be asked.
        if all(holding is not None and not holding.holds for holding in nodes.values()):
            repository = self._repository(options["cluster"])
        verdict = decide(options["cluster"], options["preferred"], nodes, repository, options["new_cluster"])
        return {"changed": False, "verdict": verdict}

    def _repository(self, stanza: str) -> RepositoryHolding | None:
        asked = {"stanza": stanza, "require": "nothing"}
        try:
            there = self.module("relevo.postgres.pgbackrest_repositories_info", {})["repositories"]
            said = [
                self.module("relevo.postgres.pgbackrest_info", asked | {"repository": one["number"]}) for one in there
            ]
            return RepositoryHolding.together([RepositoryHolding.of(one) for one in said])
        except AnsibleConnectionFailure:
            return None
        except AnsibleActionFail as error:
            raise RelevoError(
                f"The repository could not say what it holds: {error} No new cluster was made."
            ) from error
