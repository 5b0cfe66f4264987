"""What the actions have in common that decide about a node of a cluster: they begin alike, and refuse alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from answers import primary, standby

from ansible_collections.relevo.postgres.plugins.action import (
    node_addition_plan,
    node_retirement_plan,
    upgrade_minor_plan,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

HOSTS: dict[str, dict[str, Any]] = {name: {"node_preferred_primary": name == "a"} for name in ("a", "b", "c")}
VARIABLES = {"groups": {"postgres": list(HOSTS), "pgbackrest": ["repo"]}, "hostvars": HOSTS | {"repo": {}}}
REACHED: dict[str, Any] = {"states": {}, "unreachable_nodes": {}, "markers": {}, "removed": {}}
ANSWERS = Topology([primary("a"), standby("b"), standby("c")]).as_dict()
GIVEN: dict[str, Any] = {
    "cluster": "main",
    "node": "c",
    "reached": REACHED,
    "topology": ANSWERS,
    "unfinished": {},
    "required": False,
    "looked": {},
    "confirm": "c",
    "data": False,
    "last": True,
    "force": False,
    "fence_command": [],
    "consumers": False,
    "scratch": [],
    "elsewhere": [],
}
ACTIONS = [node_addition_plan.ActionModule, node_retirement_plan.ActionModule]


def decided(kind: Any, **given: Any) -> dict[str, Any]:
    made = kind.__new__(kind)
    made._task_vars = VARIABLES
    made._task = SimpleNamespace(check_mode=False)
    result: dict[str, Any] = made.work(GIVEN | given)
    return result


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_node_that_the_cluster_does_not_have_is_refused_before_anybody_was_asked(kind: Any) -> None:
    for node, words in (("", "No node was named, and main has a, b, c"), ("x", "There is no node x: main has a, b, c")):
        with pytest.raises(RelevoError, match=words):
            decided(kind, node=node, reached=None)
    assert decided(kind, reached=None) == {"changed": False}


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_refusal_is_an_answer_where_that_is_wanted(kind: Any) -> None:
    texts = {name: name for name in ("cluster", "node", "by", "at", "command")}
    record: dict[str, Any] = texts | {"asked": {}, "plan": {}, "undo": {}}
    away = REACHED | {"unreachable_nodes": {"repo": "no route."}}
    # Nobody was asked who is primary: the task was skipped.
    found = decided(kind, reached=away, topology={"skipped": True})
    assert any(
        "The repository host repo does not answer (no route)" in one for one in found["operation_plan"]["refusals"]
    )
    assert (found["changed"], found["repository"]) == (False, "repo")
    assert found["text"]
    with pytest.raises(RelevoError, match=r"^Nothing was changed\. .*does not answer"):
        decided(kind, reached=away, topology={}, required=True)
    # A restore in place that is not finished comes first.
    found = decided(kind, unfinished={"record": record})
    assert "is not finished" in found["operation_plan"]["refusals"][0]


def upgrade_of(packages_install: Any, **said: Any) -> dict[str, Any]:
    """The decision of upgrade_minor.yml about two machines, of which b said that."""
    made: Any = upgrade_minor_plan.ActionModule.__new__(upgrade_minor_plan.ActionModule)
    variables = {"packages_install": packages_install}
    hosts = {name: HOSTS[name] | variables for name in ("a", "b")} | {"repo": variables}
    made._task_vars = {"groups": {"postgres": ["a", "b"], "pgbackrest": ["repo"]}, "hostvars": hosts}
    now = {"version": "17", "packages": {"postgresql-17": "17.6-1"}}
    streaming = standby("b", receiver={"status": "streaming"})
    result: dict[str, Any] = made.work(
        {
            "cluster": "main",
            "hosts": ["a", "b", "repo"],
            "only_theirs": ["a", "b", "repo"],
            "reached": REACHED,
            "looked": {"a": now, "b": now | said, "repo": now},
            "containers": {},
            "scratch": {"repo": {"skipped": True}},
            "topology": Topology([primary("a"), streaming]).as_dict(),
            "unfinished": {},
            "handover": {},
            "confirm": "main",
            "describe": True,
        }
    )
    return result


@pytest.mark.parametrize("chosen", [False, "false", "no"])
def test_where_somebody_else_installs_packages_servers_are_restarted_alone(chosen: Any) -> None:
    """docs/upgrade.md, packages_install."""
    newer = {"newer": {"postgresql-17": "17.7-1"}, "held": ["postgresql-17"]}
    for said in (newer, {"interrupted": True}, {"policy_left": True}):
        assert upgrade_of(chosen, **said)["idle"]
    found = upgrade_of(chosen, **newer, server_old=True)
    assert (found["standbys"], found["operation_plan"]["refusals"]) == (["b"], [])
    assert "is restarted" in found["text"]
    assert "17.7-1" not in found["text"]
    # Otherwise that is done here.
    assert upgrade_of(True, newer=newer["newer"])["standbys"] == ["b"]
    assert "is held as it is" in upgrade_of(True, **newer)["text"]


def test_what_each_adds_to_it() -> None:
    added = decided(node_addition_plan.ActionModule)
    assert (added["action"], added["peers"], added["proxies"]) == ("add", ["a", "b"], [])
    assert (added["adds"], added["completes"]) == (True, False)
    removed = decided(node_retirement_plan.ActionModule)
    assert (removed["peers"], removed["servers"], removed["primary"]) == (["a", "b"], ["a", "b"], "a")


def test_what_was_restored_on_the_node_is_counted_once() -> None:
    """The repository host has a note of it, and of those on other hosts; another repository host may have the note."""
    note = {"host": "c", "name": "main_latest", "cluster": "main", "backup": "", "reading": False}
    there = {"name": "main_latest", "cluster": "main", "state": "running", "port": 5600}
    given: dict[str, Any] = {
        "elsewhere": [note, note | {"host": "b", "name": "elsewhere"}],
        "scratch": [there, there | {"name": "of_shop", "cluster": "shop"}],
        "data": True,
        "consumers": False,
    }
    refusals = decided(node_retirement_plan.ActionModule, **given)["operation_plan"]["refusals"]
    assert [one.split()[0] for one in refusals] == ["main_latest", "of_shop"]
    assert "/.elsewhere/c+main_latest.json on repo." in refusals[0]
