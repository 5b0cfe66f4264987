"""The filters over the inventory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible import context
from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.preferred_primaries import preferred_primaries
from ansible_collections.relevo.postgres.plugins.filter.whole_play import whole_play

HOSTVARS: dict[str, dict[str, Any]] = {
    "a": {"node_preferred_primary": True},
    "b": {"node_address": "10.0.0.2", "postgresql_port": "6432"},
    "c": {"node_cluster": "other", "node_preferred_primary": True},
}


def test_the_nodes_of_a_cluster() -> None:
    assert cluster_nodes(["a", "b", "c"], HOSTVARS) == [
        {"name": "a", "host": "a", "port": 5432},
        {"name": "b", "host": "10.0.0.2", "port": 6432},
    ]
    assert [node["name"] for node in cluster_nodes(["a", "b", "c"], HOSTVARS, "other")] == ["c"]


def test_what_inventory_check_found_is_not_asked_of_each_host_again() -> None:
    asked: list[str] = []

    class Asked(dict[str, dict[str, Any]]):
        def __getitem__(self, name: str) -> dict[str, Any]:
            asked.append(name)
            return super().__getitem__(name)

    found = {"inventory_check_found": {"servers": {"main": ["a", "b"], "other": ["c"]}}}
    hosts = Asked(HOSTVARS | {"localhost": found})
    assert cluster_nodes(["b", "c"], hosts) == cluster_nodes(["b", "c"], HOSTVARS)
    assert asked == ["localhost", "b"]
    # A cluster that it has not seen is looked for.
    hosts["d"] = {"node_cluster": "new"}
    assert [node["name"] for node in cluster_nodes(["c", "d"], hosts, "new")] == ["d"]


def test_the_preferred_primaries_by_cluster() -> None:
    assert preferred_primaries(["a", "b", "c"], HOSTVARS) == {"main": ["a"], "other": ["c"]}


@pytest.mark.parametrize(
    ("limit", "tags", "skip_tags", "said"),
    [
        ("db1", ["all"], [], "--limit would leave out"),
        ("", ["postgres"], [], "--tags would leave out"),
        ("", ["all"], ["untagged"], "--skip-tags would leave out"),
        # The tasks that judge the arguments of a role have it, whatever play they are of.
        ("", ["all"], ["always"], "--skip-tags would leave out"),
        ("", ["always"], [], "--tags would leave out"),
        ("db1", ["x"], [], "--limit and --tags would leave out"),
    ],
)
def test_a_play_that_is_cut_down_is_refused(limit: str, tags: list[str], skip_tags: list[str], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        whole_play("localhost", limit, tags, skip_tags)


def test_who_gives_all_hosts_as_a_limit_is_told_whom_that_leaves_out() -> None:
    with pytest.raises(
        AnsibleFilterError, match="Of localhost, where it begins, no --limit knows, not even all. Run it"
    ):
        whole_play("localhost", "all")
    with pytest.raises(AnsibleFilterError) as refused:
        whole_play("localhost", "", ["redis"])
    assert "--limit" not in str(refused.value)


def test_a_play_that_would_begin_in_the_middle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable has it, so no playbook can hand it over."""
    monkeypatch.setattr(context, "CLIARGS", {"start_at_task": "Show the plan"})
    with pytest.raises(AnsibleFilterError, match="--start-at-task would leave out"):
        whole_play("localhost")


def test_a_play_that_is_not_cut_down_has_its_hosts() -> None:
    # What Molecule always gives.
    assert whole_play("localhost", "", ["all"], ["molecule-notest", "notest"]) == "localhost"
