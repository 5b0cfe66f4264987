# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A variable whose name is misspelt is not passed over, and one of another collection is no reason to refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.action import inventory_check
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.variables import (
    GIVEN_BY_AWX,
    LEFT_BY_TASKS,
    OF_OTHERS,
    SHARED,
    Unknown,
    misspelt_faults,
    one_slip,
    roots_of,
    unknown_line,
    unknown_variables,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._known_variables import ROLES, known_variables, roots

ROOT = Path(__file__).resolve().parents[2]
TASKS = sorted(
    [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/**/*.yml"), *ROOT.glob("roles/*/handlers/*.yml")]
)
INVENTORIES = [
    *ROOT.glob("inventory/*.yml"),
    *ROOT.glob("examples/hosts*.yml"),
    ROOT / "molecule" / "inventory.yml",
    *ROOT.glob("tests/*/inventory.yml"),
]
#: Where people, and the tests, read what they can set.
TEXTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md", "examples/**/*.yml", "Makefile", "bin/*", "tests/*/*")
    for path in sorted(ROOT.glob(pattern))
    if path.suffix in (".md", ".yml", ".py", "") and path.is_file() and path.parent.name != "unit"
]
#: Misspelt on purpose, or of others, in what shows that.
ON_PURPOSE = {"pgbackrest_retention_ful", "haproxy_prot", "redis_appendfsync", "postgresql_settings"}
#: The end of a name, in a test that puts the rest before it.
ON_PURPOSE |= {"drill_required"}


def unknown(*names: str, others: tuple[str, ...] = ()) -> list[Unknown]:
    return unknown_variables({"a": names}, known_variables(), roots(), others)


def test_the_names_come_from_the_roles_that_are_installed() -> None:
    assert {"postgresql_port", "pgbackrest_retention_full", "handover_window", "node_kind"} <= known_variables()
    assert ROLES.joinpath("postgresql", "meta", "argument_specs.yml").is_file()
    assert roots().index("catalog_check_") < roots().index("catalog_")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("haproxy_prot", "haproxy_port", True),
        ("retention_ful", "retention_full", True),
        ("retention_fulll", "retention_full", True),
        ("process_mas", "process_max", True),
        ("process_max", "process_max", False),
        ("postgres_port", "postgresql_port", False),
        ("redis_host", "redis_port", False),
        ("ab", "ba", True),
        ("abc", "cba", False),
        ("", "a", True),
        ("", "", False),
    ],
)
def test_one_slip(one: str, other: str, said: bool) -> None:
    assert one_slip(one, other) is said
    assert one_slip(other, one) is said


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pgbackrest_retention_ful", "pgbackrest_retention_full"),
        ("haproxy_prot", "haproxy_port"),
        ("haproxy_readonly_port", "haproxy_read_only_port"),
        ("postgresql_paramaters", "postgresql_parameters"),
        ("postgresql_database", "postgresql_databases"),
        ("redis_max_memory", "redis_maxmemory"),
        ("node_prefered_primary", "node_preferred_primary"),
        ("relevo_secret_dir", "relevo_secrets_dir"),
        ("catalog_langauge", "catalog_language"),
        ("catalog_chek_max_rto", "catalog_check_max_rto"),
        ("failover_fence_comand", "failover_fence_command"),
        ("backup_cycle_day", None),
        # Also where the slip is in what it begins with.
        ("docker_node_recreate", "docker_nodes_recreate"),
        ("pgbackrset_process_max", "pgbackrest_process_max"),
    ],
)
def test_what_is_almost_ours_is_misspelt(name: str, meant: str | None) -> None:
    assert [(one.nearest, one.misspelt) for one in unknown(name)] == ([(meant, True)] if meant else [])


@pytest.mark.parametrize(
    "name",
    [
        # geerlingguy.postgresql, geerlingguy.redis, geerlingguy.haproxy, anxs.postgresql, vitabaks.autobase
        *OF_OTHERS,
        *("postgresql_hba_entries", "postgresql_data_dir", "postgresql_global_config_options", "postgresql_daemon"),
        *("postgresql_wal_keep_segments", "postgresql_log_directory", "postgresql_archive_command"),
        *("postgresql_listen_addresses", "postgresql_synchronous_commit", "postgresql_max_wal_size"),
        *("redis_maxmemory_policy", "redis_bind_interface", "redis_dbdir", "redis_databases", "redis_version"),
        *("redis_requirepass", "redis_timeout", "redis_conf_path"),
        *("haproxy_frontend_port", "haproxy_listen_port", "haproxy_maxconn", "haproxy_user", "haproxy_template"),
        *("pgbackrest_repo_host", "pgbackrest_retention_diff", "pgbackrest_compress_level", "pgbackrest_conf"),
        "postgresql_settings",
    ],
)
def test_what_only_begins_like_ours_is_worth_a_line(name: str) -> None:
    [found] = unknown(name)
    assert not found.misspelt
    assert misspelt_faults([found]) == []
    assert name in unknown_line([found])


@pytest.mark.parametrize(
    "name",
    [
        *("awx_job_id", "awx_project_scm_branch", "awx_inventory_name", "awx_schedule_id", "awx_schedule_name"),
        *("awx_user_name", "awx_workflow_job_id", "tower_job_id"),
        *("node_exporter_version", "node_exporter_web_listen_address", "node_role", "node_version", "node_ip_address"),
        *("packages_common", "package_extra", "secret_dir", "secrets_vault", "status_page", "schedule_name"),
        *("postgres_port", "postgres_users", "pg_version", "docker_users", "backup_dir", "docker_packages"),
        *("ansible_host", "__postgresql_port", "cluster", "my_redis_port", "group_names", "inventory_hostname"),
    ],
)
def test_nothing_is_said_of_the_rest(name: str) -> None:
    assert unknown(name) == []


def test_what_is_said() -> None:
    found = unknown_variables(
        {host: ["postgresql_prt", "redis_requirepass", "postgresql_settings"] for host in "abcde"},
        known_variables(),
        roots(),
        ["redis_*"],
    )
    assert misspelt_faults(found) == [
        "The variable postgresql_prt is set (a, b, c and 2 more), and nobody reads it: did you mean "
        "postgresql_port? Correct the name; or, if it belongs to something else, name it in inventory_check_others."
    ]
    assert unknown_line(found).startswith("No variable of this collection has the name of these, which begin like")
    assert "postgresql_settings" in unknown_line(found)
    assert "postgresql_prt" not in unknown_line(found)
    assert unknown_line([]) == ""


@pytest.mark.parametrize("others", [("haproxy_prot",), ("haproxy_*",)])
def test_the_way_out(others: tuple[str, ...]) -> None:
    assert unknown("haproxy_prot", others=others) == []


NODE = {"node_service_manager": "systemd", "pgbackrest_retention_ful": 3, "redis_requirepass": "x"}


class HostVars(dict[str, Any]):
    """As Ansible's: with the templates as they are written, too, which these have none of."""

    def raw_get(self, name: str) -> Any:
        return self[name]


@pytest.mark.parametrize(
    ("names", "others", "refused", "warned"),
    [
        ("refuse", [], True, []),
        ("refuse", ["pgbackrest_*"], False, ["redis_requirepass"]),
        ("refuse", ["pgbackrest_*", "redis_*"], False, []),
        ("warn", [], False, ["did you mean pgbackrest_retention_full?"]),
        ("warn", ["pgbackrest_*"], False, []),
        ("ignore", [], False, []),
    ],
)
def test_the_check_of_an_inventory(
    monkeypatch: pytest.MonkeyPatch, names: str, others: list[str], refused: bool, warned: list[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(inventory_check, "display", SimpleNamespace(display=lambda text, **_how: said.append(text)))
    checked = inventory_check.ActionModule.__new__(inventory_check.ActionModule)
    hosts = {"a": NODE | {"node_preferred_primary": True}, "repo": NODE}
    checked._task_vars = {"groups": {"postgres": ["a"], "pgbackrest": ["repo"]}, "hostvars": HostVars(hosts)}
    options = {"groups": ["postgres"], "cluster": "", "choice": "one", "proxies": True, "python": False}
    options |= {"names": names, "others": others}
    if refused:
        with pytest.raises(RelevoError, match=r"did you mean pgbackrest_retention_full\?.* Nothing was touched"):
            checked.work(options)
        return
    checked.work(options)
    assert len(said) == len(warned)
    for line, words in zip(said, warned, strict=True):
        assert words in line


def variables_in(group: dict[str, Any]) -> Iterator[str]:
    """What a group of an inventory sets, for itself, its hosts and the groups in it."""
    for variables in (group.get("vars"), *(group.get("hosts") or {}).values()):
        yield from variables or {}
    for inner in (group.get("children") or {}).values():
        yield from variables_in(inner or {})


def left_in(value: Any) -> Iterator[str]:
    """What tasks leave with a host: the names behind ``register``, and in ``set_fact`` and ``add_host``."""
    if isinstance(value, list):
        for inner in value:
            yield from left_in(inner)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        name = str(key).rpartition(".")[2]
        if name == "register":
            yield str(inner)
        if name in ("set_fact", "add_host") and isinstance(inner, dict):
            yield from map(str, inner)
        yield from left_in(inner)


def test_what_tasks_leave_is_known() -> None:
    """A check later in the same run would take it for a variable of somebody's."""
    assert len(TASKS) > 100
    left = {name for path in TASKS for name in left_in(yaml.safe_load(path.read_text(encoding="utf-8")))}
    ours = {name for name in left if name.startswith(tuple(roots()))}
    assert ours - known_variables() == set()
    assert LEFT_BY_TASKS - left == set(), "no task leaves these any longer"


@pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_inventory_of_ours_has_a_name_that_nobody_reads(path: Path) -> None:
    names = set(variables_in(yaml.safe_load(path.read_text(encoding="utf-8"))["all"]))
    assert len(names) > 5
    assert unknown(*names) == []


def test_there_are_inventories_and_texts() -> None:
    assert {"docker.yml", "hosts.example.yml", "inventory.yml"} <= {path.name for path in INVENTORIES}
    assert len(TEXTS) > 100


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_pages_and_the_tests_set_is_known(path: Path) -> None:
    """With -e NAME=..., and in a table's first column."""
    text = path.read_text(encoding="utf-8")
    given = set(re.findall(r"-e[ \",']+([a-z_0-9]+)=", text))
    given |= set(re.findall(r"""["']([a-z]+_[a-z_0-9]+)=[^=]""", text)) if path.suffix == ".py" else set()
    begin = tuple(roots())
    listed = {name for row in re.findall(r"^\| (`[a-z][^|]*) \|", text, re.M) for name in re.findall(r"`(\w+)`", row)}
    ours = {name for name in given | (listed if path.name == "variables.md" else set()) if name.startswith(begin)}
    assert ours - known_variables() - ON_PURPOSE == set()


def test_the_shared_variables_are_documented() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert {name for name in SHARED if f"`{name}" not in pages} == set()


def test_what_the_credentials_of_awx_give_is_known() -> None:
    """A job of AWX once warned of the files with its own secrets."""
    objects = (ROLES / "awx" / "vars" / "main" / "objects.yml").read_text()
    [given] = re.findall(r"\n( +)extra_vars:\n((?:\1  .*\n)+)", objects)
    assert set(re.findall(r"^ +(\w+):", given[1], re.MULTILINE)) == GIVEN_BY_AWX <= known_variables()


def test_roots_of() -> None:
    assert roots_of(["catalog", "catalog_check"]) == ["catalog_check_", "catalog_", "relevo_", "node_"]
