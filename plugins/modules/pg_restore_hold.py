#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_hold
short_description: Keep a node down while its cluster is restored in place
version_added: 0.1.0
description:
  - V(marked) leaves the marker by which the start guard keeps the server of this node down, whoever starts it, and by
    which a promotion is refused. A server that runs goes on.
  - V(stopped) stops the server for good and proves that none of its processes is left.
  - V(released) removes the marker when the restore is done.
author: The Relevo authors (@relevo)
extends_documentation_fragment:
  - relevo.postgres.attributes
  - relevo.postgres.cluster.node
  - relevo.postgres.cluster.service_manager
  - relevo.postgres.cluster.psycopg
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  state:
    description: What is done.
    type: str
    choices: [marked, stopped, released]
    required: true
  record:
    description: The record of the restore (M(relevo.postgres.restore_record)). Needed to mark and to stop.
    type: dict
  archive:
    description:
      - Whether the WAL that the stopped server has not archived is archived now, and the task fails where that cannot
        be done. Of the node that was primary, since the way back needs it.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for the server to stop. With O(archive=true) the task fails after them; otherwise it is ended at once.
    type: float
    default: 600
  stanza:
    description: The cluster's stanza.
    type: str
    default: main
seealso:
  - module: relevo.postgres.pg_restore_in_place
"""

EXAMPLES = r"""
- name: Release the node
  relevo.postgres.pg_restore_hold:
    node: postgres_slave
    service_manager: runit
    state: released
"""

RETURN = r"""
newest_timeline:
  description: The newest timeline that the node's disk knows; 0 where it holds no data.
  returned: with O(state=stopped)
  type: int
archived:
  description: The files that were archived by this call.
  returned: with O(state=stopped)
  type: list
  elements: str
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.archive import push
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import answering, archiver_timeout
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import FIRST, repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished
from ansible_collections.relevo.postgres.plugins.module_utils._restore import replacement
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import service_for, stop_for_good
from ansible_collections.relevo.postgres.plugins.module_utils._server.session import PSYCOPG_IMPORT_ERROR
from ansible_collections.relevo.postgres.plugins.module_utils._wait import TimedOutError, wait_until

#: Seconds for one file to be archived.
PUSH = 60.0
#: Seconds in which pgBackRest, which a standby has asked for a segment, gives up.
OUTLIVE = 60.0


def mark(node: str, unfinished: Unfinished, check_mode: bool) -> bool:
    wanted = marker.Marker("restore", node, unfinished.by, unfinished.at, unfinished.node, reason=unfinished.command)
    if marker.read("restore") == wanted:
        return False
    if not check_mode:
        marker.write(wanted)
    return True


def taken(stanza: str, repository: int, path: Path) -> bool:
    """Whether another repository than the first has taken a file. One that is away is in the way of nothing."""
    try:
        push(PgBackRest(stanza, repository=repository), path, PUSH)
    except RelevoError:
        return False
    return True


def archive_rest(server: Server, stanza: str, answer: Sequence[int]) -> list[str]:
    """Archive what the server had not; it has been stopped, so nothing is added any more.

    In the first repository, which the way back begins in, and in a second one of those that ``answer`` as far as that
    takes it.
    """
    wal, pushed = server.pgdata / "pg_wal", []
    pgbackrest = PgBackRest(stanza)
    others = [number for number in answer if number != FIRST]
    for ready in sorted((wal / "archive_status").glob("*.ready")):
        name = ready.name.removesuffix(".ready")
        if (wal / name).exists():
            push(pgbackrest, wal / name, PUSH)
            # Once: it would fail, or hang, for each of what the server has kept back for it.
            others = [number for number in others if taken(stanza, number, wal / name)]
            pushed.append(name)
        ready.rename(ready.with_name(f"{name}.done"))
    return pushed


def require_nobody_left(server: Server, node: str) -> None:
    """Wait for what the server has started and what outlives it for a moment: a standby's restore_command."""
    try:
        wait_until(lambda: not server.processes(), "them to end", OUTLIVE, interval=0.2)
    except TimedOutError as error:
        left = ", ".join(map(str, server.processes()))
        raise RelevoError(
            f"The server of {node} was stopped, and processes of it are left after {OUTLIVE:g} s: {left}. "
            "Its data were not touched. End them, then run this again."
        ) from error


def stop(module: AnsibleModule, unfinished: Unfinished) -> dict[str, Any]:
    server = Server()
    changed = mark(module.params["node"], unfinished, module.check_mode)
    pushed: list[str] = []
    if not module.check_mode:
        answer, limit = [FIRST], None
        if module.params["archive"]:
            # Asked while the server still runs: it is down for the shorter a time.
            answer, away = answering(module.params["stanza"], repositories())
            limit = archiver_timeout(away)
        changed |= stop_for_good(service_for(module.params["service_manager"]), server, module.params["timeout"], limit)
        require_nobody_left(server, module.params["node"])
        if module.params["archive"] and server.initialised:
            pushed = archive_rest(server, module.params["stanza"], answer)
    newest = replacement.known_timelines(server) if server.initialised else 0
    return {"changed": changed or bool(pushed), "newest_timeline": newest, "archived": pushed}


def work(module: AnsibleModule) -> dict[str, Any]:
    state = module.params["state"]
    if state == "released":
        return {"changed": marker.read("restore") is not None if module.check_mode else marker.remove("restore")}
    unfinished = Unfinished.from_dict(module.params["record"])
    if state == "marked":
        return {"changed": mark(module.params["node"], unfinished, module.check_mode)}
    return stop(module, unfinished)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["marked", "stopped", "released"], "required": True},
            "record": {"type": "dict"},
            "archive": {"type": "bool", "default": False},
            "stanza": {"type": "str", "default": "main"},
            "timeout": {"type": "float", "default": 600},
            "service_manager": {"type": "str", "choices": ["runit", "systemd"], "required": True},
        },
        required_if=[("state", "marked", ["record"]), ("state", "stopped", ["record"])],
        supports_check_mode=True,
    )
    require_libraries(module, {"psycopg": PSYCOPG_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
