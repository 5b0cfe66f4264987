# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a node that is down: fence it, prove that it is stopped, reach its data."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import container, offline_node
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, parse_lsn, segment_name
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

Options = dict[str, Any]
Result = dict[str, Any]


def proof_of(proof: offline_node.Proof) -> Result:
    return {"proved": proof.proved, "evidence": proof.evidence}


def fence(options: Options, node: offline_node.Node, check: bool) -> Result:
    if check:
        state = node.state()
        stopped = state in ("stopped", "missing")
        marked = options["content"] is not None and options["kind"] == "docker" and state != "missing"
        return {"changed": not stopped, "proved": stopped, "marked": marked, "evidence": "check mode: nothing was done"}
    started = time.monotonic()
    changed = node.fence()
    if options["kind"] == "ssh":
        # The command that stops the machine proves it too; it need not be run twice.
        evidence = f"the fence command of {node.name} ended with status 0"
        return {"changed": changed, "proved": True, "marked": False, "evidence": evidence}
    proof = node.prove_stopped()
    # A container that was removed has no volume that anybody could name.
    readable = proof.proved and node.state() != "missing"
    marked = readable and options["content"] is not None
    result: Result = write_marker(options, node, check) if marked else {"changed": False}
    result["seconds"] = round(time.monotonic() - started, 3)
    if readable and options["target_node"]:
        result["wal"] = read_wal(options, node, check)
    if readable and options["timeline"]:
        result["newer_timeline"] = offline_node.newer_timeline(node, options["timeline"])
    return {**result, "changed": changed or result["changed"], "marked": marked, **proof_of(proof)}


def prove_stopped(options: Options, node: offline_node.Node, check: bool) -> Result:
    if check and options["kind"] == "ssh":
        return {"changed": False, "proved": False, "evidence": "check mode: the fence command was not run"}
    return {"changed": False, **proof_of(node.prove_stopped())}


def write_marker(options: Options, node: offline_node.Node, check: bool) -> Result:
    text = json.dumps(options["content"], indent=1, sort_keys=True) + "\n"
    before = node.read_marker()
    changed = before != text
    if changed and not check:
        node.write_marker(text)
    header = {"before_header": offline_node.MARKER_PATH, "after_header": offline_node.MARKER_PATH}
    return {"changed": changed, "diff": {"before": before or "", "after": text, **header}}


def read_marker(_options: Options, node: offline_node.Node, _check: bool) -> Result:
    text = node.read_marker()
    try:
        marker = json.loads(text or "null")
    except ValueError:
        marker = None
    if not isinstance(marker, dict):
        marker = None
    return {"changed": False, "present": text is not None, "marker": marker, "text": text or ""}


def wanted_wal(options: Options) -> offline_node.WalRange:
    first = options["from_segment"]
    if options["from_lsn"] is not None:
        try:
            first = segment_name(options["timeline"], parse_lsn(options["from_lsn"]), options["segment_size"])
        except ValueError as error:
            raise RelevoError(f"{options['from_lsn']!r} is no position in the WAL. Give one like 0/9C3FEC0.") from error
    return offline_node.WalRange(tuple(options["segments"] or ()), first, options["timeline"])


def read_wal(options: Options, node: offline_node.Node, check: bool) -> Result:
    wanted = wanted_wal(options)
    run_id = options["run_id"] or f"{options['node']}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    if check:
        directory = f"{offline_node.SALVAGE_DIRECTORY}/{run_id}"
        return {
            "changed": True,
            "directory": directory,
            "segments": [],
            "bytes": 0,
            "seconds": 0.0,
            "ended": "check mode",
            "newer_timeline": 0,
        }
    started = time.monotonic()
    done = offline_node.copy_wal(node, node_of(options, options["target_node"]), run_id, wanted)
    return {
        "changed": bool(done.segments),
        "directory": done.directory,
        "segments": done.segments,
        "bytes": done.bytes,
        "seconds": round(time.monotonic() - started, 3),
        "ended": done.ended,
        "newer_timeline": done.newer_timeline,
    }


def start(_options: Options, node: offline_node.Node, check: bool) -> Result:
    return {"changed": node.state() != "running" if check else node.start()}


def states(options: Options) -> Result:
    """Who answers: the containers that run, and the machines of which somebody else knows it."""
    machines = options["machines"]
    found = {name: node_of(options, name).state() for name in options["nodes"] if name not in machines}
    answering = [name for name in options["nodes"] if machines.get(name) or found.get(name) == "running"]
    if not answering:
        raise RelevoError(
            f"No node answers, neither {' nor '.join(options['nodes'])}. Nothing was touched. "
            "Start the nodes, then run this again.",
            states=found,
        )
    return {"changed": False, "states": found, "answering": answering}


def state(_options: Options, node: offline_node.Node, _check: bool) -> Result:
    return {"changed": False, "state": node.state()}


OPERATIONS: dict[str, Callable[[Options, offline_node.Node, bool], Result]] = {
    "state": state,
    "fence": fence,
    "prove_stopped": prove_stopped,
    "write_marker": write_marker,
    "read_marker": read_marker,
    "read_wal": read_wal,
    "start": start,
}


def node_of(options: Options, name: str) -> offline_node.Node:
    """The only place that chooses between the kinds of nodes."""
    if options["kind"] == "docker":
        return container.ContainerNode(container.engine(), name)
    return offline_node.CommandNode(name, options["fence_command"], options["fence_timeout"])


class ActionModule(ControllerAction):
    """On the controller, where the engine and the fence command are."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "node": {"type": "str"},
            "nodes": {"type": "list", "elements": "str"},
            "machines": {"type": "dict", "default": {}},
            "kind": {"type": "str", "choices": ["docker", "ssh"], "required": True},
            "operation": {"type": "str", "choices": ["states", *OPERATIONS], "required": True},
            "content": {"type": "dict"},
            "target_node": {"type": "str"},
            "run_id": {"type": "str"},
            "timeline": {"type": "int"},
            "from_lsn": {"type": "str"},
            "segment_size": {"type": "int", "default": SEGMENT_SIZE},
            "from_segment": {"type": "str"},
            "segments": {"type": "list", "elements": "str"},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "fence_timeout": {"type": "int", "default": 60},
        },
        "required_if": [
            ("operation", "states", ["nodes"]),
            *(("operation", operation, ["node"]) for operation in OPERATIONS),
            ("operation", "write_marker", ["content"]),
            ("operation", "read_wal", ["target_node"]),
            ("operation", "read_wal", ["timeline", "from_segment", "segments"], True),
        ],
        "required_by": {"from_lsn": ["timeline"]},
        "mutually_exclusive": [("from_lsn", "from_segment", "segments")],
    }

    def work(self, options: Options) -> Result:
        if options["kind"] == "docker" and container.DOCKER_IMPORT_ERROR:
            raise RelevoError(
                "The Python package docker is missing on the controller. Install requirements.txt.",
                exception=container.DOCKER_IMPORT_ERROR,
            )
        if options["operation"] == "states":
            return states(options)
        node = node_of(options, options["node"])
        result = OPERATIONS[options["operation"]](options, node, self._task.check_mode)
        if options["kind"] == "docker":
            result["state"] = node.state()
        return result
