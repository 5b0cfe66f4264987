# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the servers who is primary, and decide what a failover or a failback has to do."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.describe import (
    describe_failback,
    describe_failover,
)
from ansible_collections.relevo.postgres.plugins.module_utils._handover.plan import (
    LivingPrimary,
    NobodyAnswers,
    Plan,
    plan_failback,
    plan_failover,
    refuse_without_connection,
)
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _membership, _witnesses
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.relevo.postgres.plugins.plugin_utils._early_question import PATHS, TIMEOUT, topology_of
from ansible_collections.relevo.postgres.plugins.plugin_utils._witnesses import Witness

#: Seconds between two questions to a server that is starting.
POLL = 1

#: Seconds for the question how far it is.
DEADLINE = 6.0

#: Seconds for each answer at the second time of asking.
PATIENCE = 15.0


class ActionModule(ControllerAction):
    """``pg_primary_facts`` asks, on the node that the task is delegated to; module_utils/_handover decides, here."""

    _requires_connection = True

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "nodes": {"type": "list", "elements": "dict", "required": True},
            "unreachable": {"type": "dict", "default": {}},
            "no_connection": {"type": "dict", "default": {}},
            "servers": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": TIMEOUT},
            "preferred": {"type": "str", "required": True},
            "operation": {"type": "str", "choices": ["failover", "failback"], "required": True},
            "candidate": {"type": "str", "default": ""},
            "force": {"type": "bool", "default": False},
            "fence_living": {"type": "bool", "default": False},
            # Not run here. What is no list of words is refused before anybody was asked, or fenced.
            "fence_command": {"type": "list", "elements": "str", "default": []},
            "show_first": {"type": "bool", "default": False},
            "starting_timeout": {"type": "int", "default": 60},
            "cluster": {"type": "str", "default": "main"},
            "describe": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["show_first"]:
            # A task that is passed over is delegated all the same: it needs somebody's name.
            anybody = self._task_host
            return {"changed": False, "plan": {"action": "show", "candidate": anybody, "primary": anybody}}
        self._refusals: dict[str, str] = {}
        if options["describe"]:
            question = self._question(options) | {"require": "nothing"}
            found = Topology.from_result(self.module("relevo.postgres.pg_primary_facts", question))
            return self._describe(options, *self._heard(options, found))
        #: What the servers have answered before this task began; used once.
        self._early = options["servers"]
        #: Why machines take over nothing, which were asked at the same time; empty where nothing forbids it.
        self._refusals = options["servers"].get("refusals", {})
        try:
            plan = self._wait_and_plan(options)
        except RelevoError:
            self._refuse_while_restoring(options)
            raise
        refusal = self._refusal(plan)
        if refusal:
            raise RelevoError(refusal)
        return {"changed": False, "plan": plan.as_dict()}

    def _refusal(self, plan: Plan) -> str:
        """Why the candidate's own disk forbids that a living primary hands over to it; empty where nothing does.

        In an emergency all standbys have been asked by now. The promotion looks again.
        """
        if plan.action != "switchover":
            return ""
        if plan.candidate in self._refusals:
            return self._refusals[plan.candidate]
        question = {"node": plan.candidate}
        asked = self._on_node(plan.candidate, "_server.marker", question)
        return str(asked["refusal"]) if asked else ""

    def _refuse_while_restoring(self, options: dict[str, Any]) -> None:
        """Nobody answers while a cluster is restored in place: then that is why, and what finishes it the way out."""
        try:
            self.module("relevo.postgres.pg_primary_facts", self._question(options))
        except AnsibleActionFail as failure:
            if "unfinished_restore" in failure.result:
                raise

    def _wait_and_plan(self, options: dict[str, Any]) -> Plan:
        """The plan; a primary that is starting or recovering is waited for.

        Where nobody answers all are asked once more, for longer: a machine that is busy may have the only standby.
        Those that are down say so at once.
        """
        deadline = time.monotonic() + options["starting_timeout"]
        while True:
            try:
                return self._plan(options, *self._heard(options, self._topology(options)))
            except NobodyAnswers:
                if options["timeout"] >= PATIENCE:
                    raise
                options = options | {"timeout": PATIENCE}
            except LivingPrimary as living:
                if not living.starting:
                    raise
                if time.monotonic() > deadline:
                    raise LivingPrimary(living.state, self._how_far(living.state.name), living.successor) from None
                time.sleep(POLL)

    def _how_far(self, name: str) -> str:
        """A sentence on the recovery of a node's server; empty where its machine cannot be asked."""
        asked = self._on_node(name, "_server.recovery", {})
        return str(asked["how_far"]) if asked else ""

    def _on_node(self, name: str, entry: str, question: dict[str, Any]) -> dict[str, Any] | None:
        """The answer of a program on a node, which changes nothing; None where its machine cannot be asked twice."""
        hostvars = self._task_vars["hostvars"][name]
        arguments = (name, hostvars, self._play_context, entry, question, DEADLINE)
        try:
            return _machines.again(lambda: _machines.run_program(*arguments), AnsibleError)
        except AnsibleError:
            return None

    def _question(self, options: dict[str, Any]) -> dict[str, Any]:
        return {name: options[name] for name in ("nodes", "unreachable", "timeout")}

    def _topology(self, options: dict[str, Any]) -> Topology:
        early, self._early = topology_of(self._early, options["unreachable"]), {}
        if early:
            return early
        question = self._question(options)
        answer = self.ask("_cluster.ask", question | PATHS)
        if answer is None:
            answer = self.module("relevo.postgres.pg_primary_facts", question | {"require": "any"})
        return Topology.from_result(answer)

    def _plan(self, options: dict[str, Any], topology: Topology, removed: dict[str, str]) -> Plan:
        if options["operation"] == "failback":
            plan = plan_failback(topology, options["preferred"])
        else:
            plan = plan_failover(topology, *self._failover(options), removed)
        refuse_without_connection(plan, options["no_connection"])
        return plan

    def _failover(self, options: dict[str, Any]) -> tuple[str, str, bool, bool]:
        return options["preferred"], options["candidate"], options["force"], options["fence_living"]

    def _heard(self, options: dict[str, Any], topology: Topology) -> tuple[Topology, dict[str, str]]:
        """The topology, in which a dead primary lives that somebody else gets an answer of; and, in an emergency, which
        standbys take over nothing, by their own disks.

        Nobody is promoted because of one observer's network, nor fenced for one that cannot take over.
        """
        if options["operation"] == "failback":
            return topology, {}
        if not topology.primaries:
            self._ask_at_home(options, topology)
        try:
            plan = plan_failover(topology, *self._failover(options))
        except LivingPrimary:
            return topology, {}
        except RelevoError:
            # It is refused, whoever lives. Who is ahead of the one that was named may be one that takes over nothing.
            return topology, self._membership(self._standbys(topology)).answers()
        if plan.action != "promote":
            return topology, {}
        standbys = self._standbys(topology)
        asked = self._membership(standbys)
        last = topology.find(plan.primary)
        if last and not last.lives and last.name not in options["unreachable"]:
            witness = self._witness(last, standbys)
            if witness:
                last.life = witness.answer
                last.error = f"{witness.name} reaches it; {self._task.delegate_to} does not: {last.error}"
        return topology, asked.answers()

    def _standbys(self, topology: Topology) -> dict[str, Any]:
        """The variables of the standbys, which cost 20 ms each time that Ansible is asked for them.

        Of none where a primary takes writes: a planned hand-over asks the candidate alone.
        """
        hostvars = self._task_vars["hostvars"]
        return {} if topology.primaries else {state.name: hostvars[state.name] for state in topology.standbys}

    def _membership(self, standbys: dict[str, Any]) -> _membership.Question:
        asks = {
            name: _membership.asker(name, variables, self._play_context)
            for name, variables in standbys.items()
            if name not in self._refusals
        }
        return _membership.Question(asks, {name: self._refusals[name] for name in standbys.keys() & self._refusals})

    def _ask_at_home(self, options: dict[str, Any], topology: Topology) -> None:
        """Note of a server that gives us no session what it is, where its own machine says so.

        It may have no connection left but for its superuser. One that is primary stays what it is: nothing is asked of
        it over the network, and so no role is taken from it.
        """
        for state in topology.living:
            if state.life == "refused":
                asked = self._on_node(state.name, "_cluster.ask_here", {"timeout": options["timeout"]})
                if asked and asked["data"] and asked["data"]["in_recovery"]:
                    state.data, state.error = asked["data"], None
                elif asked and asked["data"]:
                    state.says_primary = True

    def _witness(self, last: NodeState, standbys: dict[str, Any]) -> Witness | None:
        """Who else gets an answer of this server: the standbys, and the controller."""
        asks = {
            name: _witnesses.on_node(name, variables, self._play_context, last.node)
            for name, variables in standbys.items()
        }
        own = self._task_vars["hostvars"][last.name]
        seen_from_here = _witnesses.seen_from_controller(last.node, own, standbys.values())
        if seen_from_here:
            asks["the controller"] = _witnesses.on_controller(seen_from_here)
        return _witnesses.first(asks)

    def _describe(self, options: dict[str, Any], topology: Topology, removed: dict[str, str]) -> dict[str, Any]:
        preferred, cluster = options["preferred"], options["cluster"]
        if options["operation"] == "failback":
            shown = describe_failback(topology, cluster, preferred)
        else:
            shown = describe_failover(topology, cluster, *self._failover(options), options["no_connection"], removed)
        result: dict[str, Any] = {"changed": False, "operation_plan": shown.as_dict()}
        target = topology.find(preferred)
        comes_back_first = options["operation"] == "failback" and not (target and target.reachable)
        if shown.action in ("switchover", "promote") and not comes_back_first:
            # What a switchover is checked for is asked for next, and whoever has the catalog what it would lose.
            plan = self._plan(options, topology, removed)
            asked = plan.primary if plan.action == "switchover" else plan.candidate
            result |= {"asked": asked, "candidate": plan.candidate}
            if plan.action == "switchover":
                result["plan"] = plan.as_dict()
                refusal = self._refusal(plan)
                if refusal:
                    return {"changed": False, "operation_plan": shown.refused(refusal).as_dict()}
        return result
