"""A repository host under a further name for each of its clusters: which variables it has there."""

from __future__ import annotations

from typing import Any

from ansible_collections.relevo.postgres.plugins.filter.not_backed_up import not_backed_up
from ansible_collections.relevo.postgres.plugins.filter.reached_repositories import reached_repositories
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.alias import (
    alias_of,
    alias_variables,
    names_itself,
)

GIVEN: dict[str, Any] = {
    "inventory_hostname": "repo",
    "inventory_hostname_short": "repo",
    "group_names": ["pgbackrest"],
    "groups": {"all": ["repo"]},
    "inventory_dir": "/etc/inventory",
    "pgbackrest_process_max": "{{ cores }}",
    "node_address": "{{ inventory_hostname }}.example.com",
    "relevo_served": ["north", "south"],
}


def variables(given: dict[str, Any]) -> dict[str, Any]:
    asked: list[str] = []

    def resolve(name: str) -> str:
        asked.append(name)
        return str(given[name]).replace("{{ inventory_hostname }}", "repo")

    made = alias_variables("repo", "north", given, resolve)
    assert all("inventory_hostname" in str(given[name]) for name in asked), "the others stay templates"
    return made


def test_the_alias_has_the_variables_of_its_host() -> None:
    assert variables(GIVEN) == {
        "ansible_host": "repo",
        "inventory_dir": "/etc/inventory",
        "pgbackrest_process_max": "{{ cores }}",
        "node_address": "repo.example.com",
        "relevo_served": ["north", "south"],
        "node_cluster": "north",
    }


def test_it_is_reached_where_its_host_is_reached() -> None:
    assert variables(GIVEN | {"ansible_host": "10.0.0.9"})["ansible_host"] == "10.0.0.9"
    named = variables(GIVEN | {"ansible_host": "{{ inventory_hostname }}.example.com"})
    assert named["ansible_host"] == "repo.example.com"


def test_it_works_for_its_cluster_also_where_the_host_serves_another_one_by_name() -> None:
    assert variables(GIVEN | {"node_cluster": "west"})["node_cluster"] == "north"


def test_its_name_says_cluster_and_host() -> None:
    assert alias_of("repo", "north") == "north@repo"


def test_what_was_not_backed_up_is_said_by_cluster() -> None:
    hosts = {
        "north@repo": {"node_cluster": "north", "backup_cycle_failure": ""},
        "south@repo": {"node_cluster": "south", "backup_cycle_failure": "No server of it\nanswers."},
        "west@other": {"node_cluster": "west"},
    }
    assert not_backed_up(list(hosts), hosts) == (
        "Not backed up: 2 of 3 clusters.\n"
        "south: No server of it answers.\n"
        "west: it is not known how far it got; see above.\n"
        "The others were."
    )
    assert not_backed_up(["north@repo"], hosts) == ""
    assert not_backed_up(["south@repo"], hosts).endswith("1 of 1 cluster.\nsouth: No server of it answers.")
    assert not_backed_up([], hosts) == ""


def test_a_cluster_whose_host_was_not_reached_is_not_counted_among_the_others() -> None:
    hosts = {"north@repo": {"node_cluster": "north", "backup_cycle_failure": "No server answers."}}
    assert not_backed_up(list(hosts), hosts, ["north", "west"]) == (
        "Not backed up: 2 of 2 clusters.\nnorth: No server answers.\nwest: it is not known how far it got; see above."
    )


class Encrypted:
    """As Ansible keeps what is vaulted: its text is known to those who ask for it."""

    def __str__(self) -> str:
        raise AssertionError("it was opened")


def test_what_is_encrypted_is_not_opened() -> None:
    sealed, nested = Encrypted(), {"a": [Encrypted(), "{{ inventory_hostname }}"]}
    assert variables({"sealed": sealed})["sealed"] is sealed
    assert names_itself(nested)
    assert not names_itself({"a": [Encrypted(), "{{ cores }}", 7, None]})


def test_what_was_left_out_has_its_reason() -> None:
    hosts = {"north@repo": {"node_cluster": "north", "backup_cycle_failure": ""}}
    told = reached_repositories({"repo": ["north"], "far": ["south", "west"]}, {"far": "no route to host"})
    assert told["reached"] == {"repo": ["north"]}
    assert list(told["left_out"]) == ["south", "west"]
    assert not_backed_up(list(hosts), hosts, ["north", "south", "west"], told["left_out"]).startswith(
        "Not backed up: 2 of 3 clusters.\nsouth: The repository host far does not answer: no route to host. "
    )
    assert reached_repositories({"repo": ["north"]}, {}) == {"reached": {"repo": ["north"]}, "left_out": {}}
