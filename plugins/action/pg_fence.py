# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fence a dead primary, and whoever else does not answer, so that a standby may be promoted.

``_handover/fence_plan`` decides; this carries it out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover import fence_plan
from ansible_collections.relevo.postgres.plugins.module_utils._handover.fence_plan import Fenced, FenceRequest
from ansible_collections.relevo.postgres.plugins.module_utils._nodes import fence_here, offline_node
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: Seconds in which a machine that has answered a moment ago would do so again.
STILL_THERE = 5.0

#: Seconds for the record in the repository, whose directory has 10 of them to answer.
RECORD_DEADLINE = 20.0

Result = dict[str, Any]


class ActionModule(ControllerAction):
    """The engine and the fence command are on the controller; a record is left on the node that the task is delegated
    to, which is the repository host."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "primary": {"type": "str", "required": True},
            "candidate": {"type": "str", "required": True},
            "timeline": {"type": "int", "required": True},
            "salvage_from": {"type": "str", "default": ""},
            "kinds": {"type": "dict", "required": True},
            "unreachable": {"type": "list", "elements": "str", "default": []},
            "answering": {"type": "list", "elements": "str", "default": []},
            "repository": {"type": "str", "required": True},
            "repository_answers": {"type": "bool", "required": True},
            "requested_by": {"type": "str", "default": "ansible"},
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "fence_timeout": {"type": "int", "default": 60},
            "fence_living": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> Result:
        self._options = options
        self._run_id = f"{options['primary']}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
        #: What the old primary's machine answered that has given up some of its WAL.
        self._of_machine: Result = {}
        names = [options["primary"], *options["unreachable"]]
        self._kinds: dict[str, str] = options["kinds"]
        means = {
            name: fence_plan.means_of(self._kinds[name], options["fence_command"], name in options["answering"])
            for name in names
        }
        request = FenceRequest(
            primary=options["primary"],
            candidate=options["candidate"],
            timeline=options["timeline"],
            requested_by=options["requested_by"],
            means=means,
            repository=options["repository"],
            record_possible=options["repository_answers"],
            unreachable=tuple(options["unreachable"]),
            lost=tuple(name for name in names if means[name] == "engine" and self._node(name).state() == "missing"),
            force=options["force"],
        )
        no_record = self._leave_record(request, "tried") if fence_plan.will_need_record(request) else ""
        refuse(fence_plan.obstacle(request, no_record))
        if self._task.check_mode:
            nobody = Fenced(request.primary, proved=False, evidence="check mode: nothing was done")
            return {"changed": True, **self._known(nobody, (), {})}
        return self._fence_all(request)

    def _fence_all(self, request: FenceRequest) -> Result:
        self._settle([request.primary, request.candidate, *request.unreachable])
        started = time.monotonic()
        primary, changed = self._fence(request, request.primary)
        seconds = round(time.monotonic() - started, 3)
        no_record = self._leave_record(request) if fence_plan.needs_record(primary) else ""
        refuse(fence_plan.refusal(request, primary, (), no_record))
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(self._fence, request, name) for name in request.unreachable]
            wal = self._take_wal(request, primary) or self._copy_wal_of_machine(request)
            answers = [answer.result() for answer in asked]
        others = [other for other, dummy in answers]
        refuse(fence_plan.refusal(request, primary, others, no_record))
        return {
            "changed": changed or any(other_changed for dummy, other_changed in answers),
            **self._known(primary, others, wal),
            "recorded": fence_plan.needs_record(primary) and not no_record,
            "seconds": seconds,
        }

    def _known(self, primary: Fenced, others: Sequence[Fenced], wal: Result) -> Result:
        """What the promotion is decided with; complete in check mode, too, so that no reader has a default for it."""
        taken, interrupted = wal.get("segments", []), wal.get("interrupted", False)
        return {
            "proved": primary.proved,
            "evidence": primary.evidence,
            "marked": primary.marked,
            "stopped": {node.node: node.evidence for node in [primary, *others] if node.proved},
            "wal": wal,
            "newer_timeline": wal.get("newer_timeline", 0),
            "archived_from": fence_plan.archived_from(self._options["salvage_from"], taken, interrupted),
        }

    def _settle(self, names: Sequence[str]) -> None:
        """Read what machines are entered with before any thread does (see ``_machines.settled``)."""
        hostvars = self._task_vars["hostvars"]
        self._variables: dict[str, dict[str, Any] | AnsibleError] = {}
        for name in names:
            if self._kinds[name] != _offline_nodes.DOCKER:
                try:
                    self._variables[name] = _machines.settled(hostvars[name], self._play_context)
                except AnsibleError as error:
                    self._variables[name] = error

    def _variables_of(self, name: str) -> dict[str, Any]:
        """Raises ``AnsibleError`` where they could not be read."""
        found = self._variables[name]
        if isinstance(found, AnsibleError):
            raise found
        return found

    # --- one node ------------------------------------------------------------------------------------------------

    def _node(self, name: str) -> offline_node.Node:
        command, timeout = self._options["fence_command"], self._options["fence_timeout"]
        return _offline_nodes.offline_node_of(name, self._kinds[name], command, timeout)

    def _fence(self, request: FenceRequest, name: str) -> tuple[Fenced, bool]:
        """Fence one node and leave the marker on its disk where that can be written; whether that changed anything."""
        means = request.means[name]
        if means == "service":
            fenced, changed = self._fence_over_connection(request, name)
            means = fence_plan.means_without_service(self._options["fence_command"])
            if fenced.proved or means == "none":
                return fenced, changed
        node = self._node(name)
        if means == "none":
            return Fenced(name, proved=False, evidence="failover_fence_command is empty"), False
        if means == "command":
            # The command that stops the machine proves it, too; it need not be run twice.
            proof = node.prove_stopped()
            if proof.proved and request.means[name] == "service" and self._answers(name):
                return Fenced(name, proved=False, evidence=f"{proof.evidence}, but the machine still answers"), True
            return Fenced(name, proof.proved, proof.evidence), proof.proved
        return self._fence_by_engine(request, name, node)

    def _answers(self, name: str) -> bool:
        """Whether a machine that should be off is not; asked of one that has answered before.

        Anew: that a connection of before is lost says nothing of the machine.
        """
        try:
            variables = self._variables_of(name)
        except AnsibleError:
            return False
        ask = _machines.asker(name, variables, self._play_context, alone=True)
        return _machines.ask_all({name: ask}, STILL_THERE)[name] is None

    def _fence_by_engine(self, request: FenceRequest, name: str, node: offline_node.Node) -> tuple[Fenced, bool]:
        """As ``_fence``. What the engine does not do, or does not answer, ends nothing here: ``refusal`` decides."""
        try:
            changed = _machines.again(node.fence, RelevoError)
            proof = _machines.again(node.prove_stopped, RelevoError)
        except RelevoError as error:
            return Fenced(name, proved=False, evidence=_one_sentence(error)), True
        if not proof.proved or name in request.lost:
            return Fenced(name, proof.proved, proof.evidence), changed
        text = request.marker(name).to_json()
        try:
            changed |= _machines.again(lambda: offline_node.ensure_marker(node, text), RelevoError)
            # What the old primary's disk says of it is found when its WAL is taken.
            newer = (
                0
                if name == request.primary
                else _machines.again(lambda: offline_node.newer_timeline(node, request.timeline), RelevoError)
            )
        except RelevoError as error:
            # The old primary is marked by a record then. Of any other one nobody knows whether it was promoted.
            stopped = name == request.primary
            return Fenced(name, stopped, proof.evidence if stopped else _one_sentence(error)), True
        return Fenced(name, proof.proved, proof.evidence, marked=True, newer_timeline=newer), changed

    def _fence_over_connection(self, request: FenceRequest, name: str) -> tuple[Fenced, bool]:
        """Have the machine stop its server, prove it and mark its disk."""
        salvage_from = self._options["salvage_from"] if name == request.primary else ""
        unread = ""
        try:
            try:
                answer = self._ask_machine(request, name, salvage_from)
            except AnsibleError as error:
                if not salvage_from:
                    raise
                # Its WAL is up to 64 MB, and the line may be too slow for that. The fence is not to fail by it: nobody
                # would be promoted, however often this is run again.
                unread = _machines.one_line(str(error))
                answer = self._ask_machine(request, name, "")
        except AnsibleError as error:
            return Fenced(name, proved=False, evidence=_machines.one_line(str(error))), False
        if answer.get("lives"):
            raise RelevoError(fence_plan.beside_the_living(name))
        if unread:
            answer["wal"] = nothing_taken(unread, answer.get("newer_timeline", 0))
            answer["files"] = {}
        if "wal" in answer:
            self._of_machine = answer
        known = {key: answer[key] for key in ("marked", "newer_timeline") if key in answer}
        # What the old primary's disk says of it is in what is returned of its WAL.
        known |= {"newer_timeline": 0} if name == request.primary else {}
        return Fenced(name, proved=answer["proved"], evidence=answer["evidence"], **known), answer["changed"]

    def _ask_machine(self, request: FenceRequest, name: str, salvage_from: str) -> Result:
        question = {
            "marker": request.marker(name).to_json(),
            "timeline": request.timeline,
            "spare_living": name == request.primary and not self._options["fence_living"],
            "run_id": self._run_id,
            "salvage_from": salvage_from,
        }
        return self._program(name, "_nodes.fence_here", question)

    def _program(self, name: str, entry: str, question: Result) -> Result:
        variables = self._variables_of(name)
        given = {"node": name, "service_manager": variables["node_service_manager"]} | question
        return _machines.run_program(name, variables, self._play_context, entry, given, self._options["fence_timeout"])

    def _copy_wal_of_machine(self, request: FenceRequest) -> Result:
        """Bring what the old primary's machine returned of its WAL to the candidate, and what follows it."""
        started, answer = time.monotonic(), self._of_machine
        if not answer:
            return {}
        copied: Result = answer["wal"] | {"segments": [], "bytes": 0}
        try:
            while answer["files"]:
                self._write_on_candidate(request.candidate, answer["files"])
                copied["segments"] += answer["wal"]["segments"]
                copied["bytes"] += answer["wal"]["bytes"]
                if copied["ended"]:
                    break
                answer = self._ask_machine(request, request.primary, answer["wal"]["following"])
                if "wal" not in answer:
                    copied["ended"] = answer.get("evidence", f"{request.primary} was started meanwhile")
                    copied["interrupted"] = True
                    break
                copied |= {key: answer["wal"][key] for key in ("ended", "interrupted") if key in answer["wal"]}
        except (AnsibleError, RelevoError) as error:
            # It is stopped and marked all the same; what arrived is replayed, and the report names why it is not all.
            copied |= {"ended": _machines.one_line(str(error)), "interrupted": True}
        copied.pop("following", None)
        return copied | {"seconds": round(time.monotonic() - started, 3)}

    def _write_on_candidate(self, candidate: str, files: dict[str, str]) -> None:
        if self._kinds[candidate] != _offline_nodes.DOCKER:
            self._program(candidate, "_nodes.receive_here", {"files": files})
            return
        node = self._node(candidate)
        for path, packed in files.items():
            data = fence_here.unpack(packed)
            node.write_file(path, offline_node.FileStream(len(data), iter([data])))

    def _take_wal(self, request: FenceRequest, primary: Fenced) -> Result:
        """Copy what only the old primary has of the WAL to the candidate; empty where its disk cannot be read."""
        kinds = {self._kinds[request.primary], self._kinds[request.candidate]}
        # One that cannot be marked, since it is full, can be read all the same.
        readable = primary.proved and request.primary not in request.lost and kinds == {_offline_nodes.DOCKER}
        if not readable or not self._options["salvage_from"]:
            return {}
        started = time.monotonic()
        try:
            done = self._copy_wal(self._node(request.primary), self._node(request.candidate))
        except RelevoError as error:
            if not request.force:
                raise RelevoError(fence_plan.unread(request.primary, _one_sentence(error))) from error
            return nothing_taken(_one_sentence(error))
        return {
            "directory": done.directory,
            "segments": done.segments,
            "bytes": done.bytes,
            "seconds": round(time.monotonic() - started, 3),
            "ended": done.ended,
            "newer_timeline": done.newer_timeline,
            "interrupted": done.interrupted,
        }

    def _copy_wal(self, source: offline_node.Node, target: offline_node.Node) -> offline_node.WalCopy:
        """What cannot be read is lost, so it is tried twice: the second time from where the first one ended."""

        def copy(first: str) -> offline_node.WalCopy:
            return offline_node.copy_wal(source, target, self._run_id, offline_node.WalRange(first=first))

        begin = self._options["salvage_from"]
        done = _machines.again(lambda: copy(begin), RelevoError)
        if not done.interrupted:
            return done
        try:
            rest = copy(done.following or begin)
        except RelevoError:
            return done
        rest.segments, rest.bytes = done.segments + rest.segments, done.bytes + rest.bytes
        rest.newer_timeline = done.newer_timeline
        return rest

    # --- the repository host -------------------------------------------------------------------------------------

    def _leave_record(self, request: FenceRequest, state: str = "present") -> str:
        """Write the marker into the repository; returns why that was not possible, or nothing.

        ``tried``: nothing is written. A bucket takes none, which is better known before a machine is switched off.
        """
        if not request.record_possible:
            return "it does not answer"
        question = {
            "nodes": [request.primary],
            "content": request.marker(request.primary).to_json(),
            "state": state,
            "config": str(_names.PGBACKREST_CONF),
            "check_mode": self._task.check_mode,
        }
        try:
            self._ask_repository(request.repository, question)
        except AnsibleError as error:
            late = "; it may still be written, so run this again when that host answers" if state == "present" else ""
            return f"{_machines.one_line(str(error))}{late}"
        return ""

    def _ask_repository(self, name: str, question: Result) -> Result:
        """A record that stands stays: the question may be put twice."""
        variables = self._task_vars["hostvars"][name]
        arguments = (name, variables, self._play_context, "_repository.fence_record_here", question, RECORD_DEADLINE)
        return _machines.again(lambda: _machines.run_program(*arguments), _machines.LostAnswerError)


def nothing_taken(why: str, newer_timeline: int = 0) -> Result:
    """What is returned of WAL that could not be read."""
    return {"segments": [], "bytes": 0, "ended": why, "newer_timeline": newer_timeline, "interrupted": True}


def _one_sentence(error: RelevoError) -> str:
    return error.message.rstrip(".")


def refuse(why: str) -> None:
    """Fail with this sentence, if there is one."""
    if why:
        raise RelevoError(why)
