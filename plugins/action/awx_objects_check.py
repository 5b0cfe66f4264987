# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what an AWX holds, through the lookup of awx.awx, and fail when it is not what was given to it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.loader import lookup_loader

from ansible_collections.relevo.postgres.plugins.module_utils._awx import (
    ASSOCIATIONS,
    ENDPOINTS,
    WITH_SURVEY,
    differences,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

WORKFLOW = "workflow_job_template"
LOOKUP = "awx.awx.controller_api"


class ActionModule(ControllerAction):
    """The lookup knows the address, the token and the paging of an AWX; it is asked here once per kind."""

    SPEC = {"argument_spec": {"objects": {"type": "dict", "required": True, "no_log": True}}}  # noqa: RUF012

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            # What was not written cannot be read back.
            return {"changed": False, "objects": 0}
        wanted: dict[str, list[dict[str, Any]]] = options["objects"]
        unknown = wanted.keys() - ENDPOINTS.keys()
        if unknown:
            raise RelevoError(f"There are no objects of AWX called {', '.join(sorted(unknown))} here.")
        wrong = [
            sentence
            for kind, items in wanted.items()
            for item, found in self._beside(kind, items)
            for sentence in differences(kind, item, found, *self._details(kind, item, found))
        ]
        if wrong:
            raise RelevoError(f"AWX holds something else than it was given. {' '.join(wrong)}", differences=wrong)
        return {"changed": False, "objects": sum(len(items) for items in wanted.values())}

    def _beside(self, kind: str, items: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Each wanted object with what AWX has under its name, and in its organization where it names one."""
        if not items:
            return []
        names = ",".join(item["name"] for item in items)
        held = self._ask(ENDPOINTS[kind], query_params={"name__in": names}, return_all=True, return_objects=True)
        return [(item, next((one for one in held if _same(item, one)), None)) for item in items]

    def _details(
        self, kind: str, item: dict[str, Any], found: dict[str, Any] | None
    ) -> tuple[dict[str, Any] | None, dict[str, list[str]], list[dict[str, Any]]]:
        if found is None:
            return None, {}, []
        address = f"{ENDPOINTS[kind]}/{found['id']}"
        survey = self._ask(f"{address}/survey_spec")[0] if kind in WITH_SURVEY else None
        related = {
            field: [one["name"] for one in self._ask(f"{address}/{field}", return_all=True, return_objects=True)]
            for field in ASSOCIATIONS
            if field in item
        }
        nodes = self._ask(f"{address}/workflow_nodes", return_all=True, return_objects=True) if kind == WORKFLOW else []
        return survey, related, nodes

    def _ask(self, endpoint: str, **options: Any) -> list[dict[str, Any]]:
        lookup = lookup_loader.get(LOOKUP, loader=self._loader, templar=self._templar)
        if lookup is None:
            raise RelevoError("The collection awx.awx is not installed: ansible-galaxy collection install awx.awx.")
        answer: list[dict[str, Any]] = lookup.run([endpoint], variables=self._task_vars, **options)
        return answer


def _same(item: dict[str, Any], found: dict[str, Any]) -> bool:
    if item["name"] != found["name"]:
        return False
    organization = found.get("summary_fields", {}).get("organization")
    return "organization" not in item or not organization or organization["name"] == item["organization"]
