#!/usr/bin/python
# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a node that is down."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_control
short_description: Fence a node, prove that it is stopped, and reach the data of a node that is down
version_added: 0.1.0
description:
  - What cannot be done through a node's own connection because the node is down. Runs on the controller.
  - Container nodes are reached through the Docker engine. For a machine over SSH only C(fence) and C(prove_stopped) are
    possible, by means of a command of yours.
author:
  - The Relevo authors (@relevo)
requirements:
  - docker (Python package), for O(kind=docker)
attributes:
  check_mode:
    support: full
    description: Says whether anything would be changed, and changes nothing. A fence command is not run.
  diff_mode:
    support: partial
    description: Shows the difference of C(write_marker).
options:
  node:
    description: Inventory name of the node, also that of its container.
    type: str
    required: true
  kind:
    description: What kind of node it is.
    type: str
    choices: [docker, ssh]
    required: true
  operation:
    description:
      - V(state) asks what the engine says about the node.
      - V(fence) stops the node at once and for good. Docker kills the container, also when it is paused, and leaves it
        down under the restart policy C(unless-stopped). Does nothing when it is stopped or missing.
      - V(prove_stopped) asks for proof that the node is stopped. A paused container is not stopped, a missing one is.
      - V(write_marker) writes the fence marker onto the data volume of the node, running or stopped.
      - V(read_marker) reads it.
      - V(read_wal) copies WAL segments from the stopped node to C(/var/lib/postgresql/relevo/salvage/RUN_ID) on
        O(target_node), owned by postgres. Ends at the first segment that is not there or is a recycled file.
      - V(start) starts the node.
    type: str
    choices: [state, fence, prove_stopped, write_marker, read_marker, read_wal, start]
    required: true
  content:
    description: The fence marker; written as JSON. Needed by O(operation=write_marker).
    type: dict
  target_node:
    description: Inventory name of the container node that gets the segments. Needed by O(operation=read_wal).
    type: str
  run_id:
    description: Names the staging directory. Made of the node's name and the time when not given.
    type: str
  timeline:
    description: The timeline whose WAL is copied.
    type: int
  from_lsn:
    description:
      - Position on O(timeline) from which WAL is needed, usually the one that the target node has received. The segment
        that holds it and all that follow are copied.
      - Without any of O(from_lsn), O(from_segment) and O(segments), all of O(timeline) that is there is copied, which
        can take long.
    type: str
  from_segment:
    description: Name of the first WAL segment to copy, with its timeline, instead of O(timeline) and O(from_lsn).
    type: str
  segments:
    description: Names of the WAL segments to copy, and no others.
    type: list
    elements: str
  segment_size:
    description: Bytes of a WAL segment, to find the one that holds O(from_lsn).
    type: int
    default: 16777216
  fence_command:
    description:
      - Command that stops a machine over SSH, or proves that it is stopped, as a list of arguments. Status 0 means that
        the machine is stopped and stays so. The variable C(RELEVO_NODE) of its environment is the node's name.
    type: list
    elements: str
    default: []
  fence_timeout:
    description: Seconds after which the fence command is given up.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Fence the old primary
  relevo.postgres.node_control:
    node: postgres_master
    kind: docker
    operation: fence
  delegate_to: localhost

- name: Save the WAL that only the dead primary has
  relevo.postgres.node_control:
    node: postgres_master
    kind: docker
    operation: read_wal
    timeline: 1
    from_lsn: 0/9C3FEC0
    target_node: postgres_slave
  delegate_to: localhost
"""

RETURN = r"""
state:
  description: What the engine says about the node after the operation; C(unknown) for a machine over SSH.
  type: str
  returned: O(kind=docker), and O(operation=state)
  sample: stopped
proved:
  description: Whether the node is proved to be stopped.
  type: bool
  returned: O(operation=fence) and O(operation=prove_stopped)
evidence:
  description: Who says so, or why there is no proof.
  type: str
  returned: O(operation=fence) and O(operation=prove_stopped)
present:
  description: Whether there is a marker.
  type: bool
  returned: O(operation=read_marker)
marker:
  description: The marker; null when there is none, or when it cannot be read as one (it counts all the same).
  type: dict
  returned: O(operation=read_marker)
text:
  description: The marker as it is written; empty when there is none.
  type: str
  returned: O(operation=read_marker)
directory:
  description: The staging directory on the target node.
  type: str
  returned: O(operation=read_wal)
segments:
  description: Names of the segments that were copied, in order.
  type: list
  elements: str
  returned: O(operation=read_wal)
bytes:
  description: How much was copied.
  type: int
  returned: O(operation=read_wal)
ended:
  description: Why nothing more was copied.
  type: str
  returned: O(operation=read_wal)
"""

import json
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.relevo.postgres.plugins.module_utils import _container, _node
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._lsn import parse_lsn, segment_name
from ansible_collections.relevo.postgres.plugins.module_utils._module import require_libraries, run_module


def proof_of(proof: _node.Proof) -> dict[str, Any]:
    return {"proved": proof.proved, "evidence": proof.evidence}


def fence(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    if module.check_mode:
        stopped = node.state() in ("stopped", "missing")
        return {"changed": not stopped, "proved": stopped, "evidence": "check mode: nothing was done"}
    changed = node.fence()
    if module.params["kind"] == "ssh":
        # The command that stops the machine proves it too; it need not be run twice.
        return {"changed": changed, "proved": True, "evidence": f"the fence command of {node.name} ended with status 0"}
    return {"changed": changed, **proof_of(node.prove_stopped())}


def prove_stopped(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    if module.check_mode and module.params["kind"] == "ssh":
        return {"changed": False, "proved": False, "evidence": "check mode: the fence command was not run"}
    return {"changed": False, **proof_of(node.prove_stopped())}


def write_marker(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    text = json.dumps(module.params["content"], indent=1, sort_keys=True) + "\n"
    before = node.read_marker()
    changed = before != text
    if changed and not module.check_mode:
        node.write_marker(text)
    header = {"before_header": _node.MARKER_PATH, "after_header": _node.MARKER_PATH}
    return {"changed": changed, "diff": {"before": before or "", "after": text, **header}}


def read_marker(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    text = node.read_marker()
    try:
        marker = json.loads(text or "null")
    except ValueError:
        marker = None
    if not isinstance(marker, dict):
        marker = None
    return {"changed": False, "present": text is not None, "marker": marker, "text": text or ""}


def wanted_wal(given: dict[str, Any]) -> _node.WalRange:
    first = given["from_segment"]
    if given["from_lsn"] is not None:
        try:
            first = segment_name(given["timeline"], parse_lsn(given["from_lsn"]), given["segment_size"])
        except ValueError as error:
            raise RelevoError(f"{given['from_lsn']!r} is no position in the WAL. Give one like 0/9C3FEC0.") from error
    return _node.WalRange(tuple(given["segments"] or ()), first, given["timeline"])


def read_wal(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    given = module.params
    wanted = wanted_wal(given)
    run_id = given["run_id"] or f"{given['node']}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    if module.check_mode:
        directory = f"{_node.SALVAGE_DIRECTORY}/{run_id}"
        return {"changed": True, "directory": directory, "segments": [], "bytes": 0, "ended": "check mode"}
    target = node_of(module, given["target_node"])
    done = _node.copy_wal(node, target, run_id, wanted)
    return {
        "changed": bool(done.segments),
        "directory": done.directory,
        "segments": done.segments,
        "bytes": done.bytes,
        "ended": done.ended,
    }


def start(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": node.state() != "running"}
    return {"changed": node.start()}


def state(module: AnsibleModule, node: _node.Node) -> dict[str, Any]:
    return {"changed": False, "state": node.state()}


OPERATIONS = {
    "state": state,
    "fence": fence,
    "prove_stopped": prove_stopped,
    "write_marker": write_marker,
    "read_marker": read_marker,
    "read_wal": read_wal,
    "start": start,
}


def node_of(module: AnsibleModule, name: str) -> _node.Node:
    """The only place that chooses between the kinds of nodes."""
    given = module.params
    if given["kind"] == "docker":
        return _container.ContainerNode(_container.connect(), name)
    return _node.CommandNode(name, given["fence_command"], given["fence_timeout"])


def work(module: AnsibleModule) -> dict[str, Any]:
    node = node_of(module, module.params["node"])
    result = OPERATIONS[module.params["operation"]](module, node)
    if module.params["kind"] == "docker":
        result["state"] = node.state()
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["docker", "ssh"], "required": True},
            "operation": {"type": "str", "choices": list(OPERATIONS), "required": True},
            "content": {"type": "dict"},
            "target_node": {"type": "str"},
            "run_id": {"type": "str"},
            "timeline": {"type": "int"},
            "from_lsn": {"type": "str"},
            "segment_size": {"type": "int", "default": 16 * 1024 * 1024},
            "from_segment": {"type": "str"},
            "segments": {"type": "list", "elements": "str"},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "fence_timeout": {"type": "int", "default": 60},
        },
        required_if=[
            ("operation", "write_marker", ["content"]),
            ("operation", "read_wal", ["target_node"]),
            ("operation", "read_wal", ["timeline", "from_segment", "segments"], True),
        ],
        required_by={"from_lsn": ["timeline"]},
        mutually_exclusive=[("from_lsn", "from_segment", "segments")],
        supports_check_mode=True,
    )
    if module.params["kind"] == "docker":
        require_libraries(module, {"docker": _container.DOCKER_IMPORT_ERROR})
    run_module(module, work)


if __name__ == "__main__":
    main()
