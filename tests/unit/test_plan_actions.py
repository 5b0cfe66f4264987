"""What the actions have in common that decide about a node of a cluster: they begin alike, and refuse alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from answers import primary, standby

from ansible_collections.relevo.postgres.plugins.action import (
    cluster_removal_plan,
    node_addition_plan,
    node_retirement_plan,
    secrets_removal,
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
    "repositories": {},
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


ONE, TWO = ({"repositories": [{"number": number} for number in numbers], "unmounted": ""} for numbers in ([1], [1, 2]))


@pytest.mark.parametrize(
    ("kind", "known", "refused"),
    [("none", ONE, False), ("s3", TWO, False), ("s3", ONE, True), (None, TWO, True), (None, {"skipped": True}, False)],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_second_repository_that_not_all_hosts_know_is_site_s_business(
    action: Any, kind: str | None, known: dict[str, Any], refused: bool
) -> None:
    second = {} if kind is None else {"pgbackrest_repo2_type": kind}
    variables = VARIABLES | {"hostvars": HOSTS | {"repo": second}}
    said = run(action, variables, GIVEN | {"repositories": known})["operation_plan"]["refusals"]
    assert any("Run site.yml first" in one for one in said) is refused
    assert len(said) == int(refused)


@pytest.mark.parametrize(
    ("backups", "known", "shared", "said"),
    [
        ("delete", TWO, True, "repo has a second repository"),
        ("keep", TWO, True, "repo has a second repository"),
        # Its configuration goes, or stays as it is.
        ("delete", TWO, False, ""),
        ("keep", TWO, False, ""),
        ("delete", TWO | {"unmounted": "/mnt/two"}, False, "Nothing is mounted at pgbackrest_repo2_mount=/mnt/two"),
        ("delete", ONE | {"unmounted": "/mnt/two"}, False, ""),
        ("keep", TWO | {"unmounted": "/mnt/two"}, False, ""),
    ],
)
def test_what_of_a_second_repository_is_in_the_way_of_a_removal(
    backups: str, known: dict[str, Any], shared: bool, said: str
) -> None:
    hosts = {"n": {"node_cluster": "north", "node_preferred_primary": True}, "repo": {}}
    hosts |= {"s": {"node_cluster": "south", "node_preferred_primary": True}} if shared else {}
    groups = {"postgres": [name for name in ("n", "s") if name in hosts], "pgbackrest": ["repo"]}
    asked = REMOVAL | {"states": {}, "unreachable": {}, "backups": backups, "repositories": known}
    found = run(cluster_removal_plan.ActionModule, {"groups": groups, "hostvars": hosts}, asked)
    refusals = " ".join(found["operation_plan"]["refusals"])
    assert refusals.startswith(said)
    assert bool(refusals) is bool(said)


def upgrade_of(packages_install: Any, repository: Any = None, **said: Any) -> dict[str, Any]:
    """The decision of upgrade_minor.yml about two machines, of which b said that, and ``repository`` the repository
    host, which is also Redis."""
    made: Any = upgrade_minor_plan.ActionModule.__new__(upgrade_minor_plan.ActionModule)
    variables = {"packages_install": packages_install}
    hosts = {name: HOSTS[name] | variables for name in ("a", "b")} | {"repo": variables}
    made._task_vars = {"groups": {"postgres": ["a", "b"], "pgbackrest": ["repo"], "redis": ["repo"]}, "hostvars": hosts}
    now = {"version": "17", "packages": {"postgresql-17": "17.6-1"}}
    streaming = standby("b", receiver={"status": "streaming"})
    result: dict[str, Any] = made.work(
        {
            "cluster": "main",
            "hosts": ["a", "b", "repo"],
            "only_theirs": ["a", "b", "repo"],
            "reached": REACHED,
            "looked": {"a": now, "b": now | said, "repo": now | (repository or {})},
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


def test_the_pgbackrest_of_a_repository_host_that_is_also_redis_is_not_upgraded_alone() -> None:
    """No two versions of it talk to each other: all hosts get the new one at once."""
    newer = {"newer": {"pgbackrest": "2.56.0-1"}}
    found = upgrade_of(True, repository=newer, **newer)
    assert (found["pgbackrest"], found["others"]) == (["b", "repo"], [])


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


def run(kind: Any, variables: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    made = kind.__new__(kind)
    made._task_vars, made._task = variables, SimpleNamespace(check_mode=False)
    result: dict[str, Any] = made.work(options)
    return result


REMOVAL: dict[str, Any] = {
    "cluster": "north",
    "required": False,
    "backups": "delete",
    "confirm": "north",
    "secrets": False,
    "holdings": {"exists": True},
    "scratch": [],
    "elsewhere": [],
    "repositories": {},
}


@pytest.mark.parametrize(
    ("shared", "state", "refused"), [(True, "stopped", True), (True, "missing", False), (False, "stopped", False)]
)
def test_a_stopped_haproxy_of_others_is_refused_and_one_of_its_own_is_not(
    shared: bool, state: str, refused: bool
) -> None:
    hosts = {"n": {"node_cluster": "north", "node_preferred_primary": True}, "repo": {}, "p": {}}
    hosts |= {"s": {"node_cluster": "south", "node_preferred_primary": True}} if shared else {}
    servers = [name for name in ("n", "s") if name in hosts]
    groups = {"postgres": servers, "pgbackrest": ["repo"], "haproxy": ["p"]}
    states = {"n": "stopped", "p": state, "repo": "running"}
    asked = REMOVAL | {"states": states, "unreachable": {"n": "it is down", "p": "its container is down"}}
    found = run(cluster_removal_plan.ActionModule, {"groups": groups, "hostvars": hosts}, asked)
    said = found["operation_plan"]["refusals"]
    assert [one.startswith("p does not answer (its container is down), and its HAProxy") for one in said] == (
        [True] if refused else []
    )
    assert found["clears"]["n"] == {"kinds": ["postgres"], "keeps": [], "repository": False}
    # Not that of the hosts which stay.
    assert found["keys"] == (["n"] if shared else ["n", "repo", "p"])


@pytest.mark.parametrize(
    ("second", "bucket"),
    [
        ({"pgbackrest_repo2_type": "s3", "pgbackrest_repo2_s3_bucket": "backups"}, "backups"),
        ({"pgbackrest_repo2_type": "posix", "pgbackrest_repo2_s3_bucket": "left"}, ""),
        ({}, ""),
    ],
)
def test_a_bucket_that_nobody_can_empty_any_more_is_named(second: dict[str, Any], bucket: str) -> None:
    hosts = {"n": {"node_cluster": "north", "node_preferred_primary": True}, "repo": second}
    variables = {"groups": {"postgres": ["n"], "pgbackrest": ["repo"]}, "hostvars": hosts}
    asked = REMOVAL | {"states": {"n": "missing", "repo": "missing"}, "unreachable": {}, "holdings": {}}
    risks = " ".join(run(cluster_removal_plan.ActionModule, variables, asked)["operation_plan"]["risks"])
    assert (f"the bucket {bucket} has of north stays" in risks) is bool(bucket)
    assert ("bucket" in risks) is bool(bucket)


def test_what_else_a_node_is_by_its_groups_it_goes_on_being() -> None:
    groups = {"postgres": list(HOSTS), "pgbackrest": ["repo"], "haproxy": ["c", "b"], "redis": ["c"]}
    found = run(node_retirement_plan.ActionModule, VARIABLES | {"groups": groups}, GIVEN)
    assert (found["keeps"], found["keys"]) == (["redis", "haproxy"], False)


@pytest.mark.parametrize(
    ("kind", "only_containers", "left"),
    [("docker", True, []), ("ssh", True, ["redis", "tls/ca.key", "user_a"]), ("ssh", False, [])],
)
def test_the_secrets_of_a_machine_that_stays_stay(
    tmp_path: Path, kind: str, only_containers: bool, left: list[str]
) -> None:
    folder = tmp_path / "secrets"
    (folder / "tls").mkdir(parents=True)
    for name in ("redis", "user_a", "tls/ca.key", "tls/a.key"):
        (folder / name).touch()
    users = [{"name": "a", "password_secret": "user_a"}]
    node = {"relevo_secrets_dir": str(folder), "node_kind": "docker", "postgresql_users": users}
    # That of Redis has no key.
    options = {"directory": str(folder), "hosts": ["a", "r"], "everything": True, "only_containers": only_containers}
    variables = {"groups": {"postgres": ["a"]}, "hostvars": {"a": node, "r": {"node_kind": kind}}}
    found = run(secrets_removal.ActionModule, variables, options)
    there = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert (sorted(there), found["changed"]) == (left, True)
    assert folder.exists() == bool(left)
    assert run(secrets_removal.ActionModule, variables, options)["changed"] is False
