"""The text of pgBackRest's configuration: what one repository has had since before there could be a second one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from ansible_collections.relevo.postgres.plugins.filter.cluster_nodes import cluster_nodes
from ansible_collections.relevo.postgres.plugins.filter.flag import flag
from ansible_collections.relevo.postgres.plugins.filter.node_address import node_address
from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import postgresql_paths
from ansible_collections.relevo.postgres.plugins.filter.second_repository import second_repository
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.shared_file import stanzas_in
from ansible_collections.relevo.postgres.plugins.module_utils._repository.alone import alone

TEMPLATE = Path(__file__).resolve().parents[2] / "roles" / "pgbackrest" / "templates" / "pgbackrest.conf.j2"
FIXTURES = Path(__file__).parent / "fixtures"
HOSTS: dict[str, dict[str, Any]] = {
    "a": {"node_address": "10.0.0.1", "node_cluster": "main"},
    "b": {"node_address": "10.0.0.2", "node_cluster": "main"},
    "s": {"node_address": "10.0.0.3", "node_cluster": "shop", "postgresql_version": "15", "postgresql_port": 5433},
    "repo": {"node_address": "10.0.0.9"},
}
GIVEN: dict[str, Any] = {
    "ansible_managed": "Written by a test",
    "groups": {"postgres": ["a", "b", "s"], "pgbackrest": ["repo"]},
    "hostvars": HOSTS,
    "pgbackrest_stanza": "main",
    "pgbackrest_repository": "repo",
    "pgbackrest_repo_path": "/var/lib/pgbackrest",
    "pgbackrest_retention_full": 2,
    "pgbackrest_repo2_push_timeout": 3,
    "pgbackrest_process_max": 4,
    "pgbackrest_compress_type": "zst",
    "pgbackrest_archive_timeout": 60,
    "pgbackrest_archive_async": False,
    "pgbackrest_io_timeout": 20,
    "pgbackrest_port": 8432,
    "pgbackrest_listen_address": "*",
    "pgbackrest_log_level_file": "info",
    "pgbackrest_socket_dir": "/var/run/postgresql",
    "pgbackrest_tls_dir": "/etc/relevo/tls",
    "postgresql_version": "17",
    "__pgbackrest_served": ["main", "shop"],
    "__pgbackrest_kept_parts": {},
}
NONE = {"type": "none"}
DIRECTORY = {"type": "posix", "path": "/mnt/two", "retention_full": 7, "cipher_pass": "", "s3_verify": True}


def rendered(host: str, second: dict[str, Any], **more: Any) -> str:
    """As Ansible does: without the line ends of its blocks."""
    environment = Environment(trim_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    ours = (cluster_nodes, flag, node_address, postgresql_paths)
    environment.filters |= {f"relevo.postgres.{one.__name__}": one for one in ours}
    own = {
        "__pgbackrest_is_repository": host == "repo",
        "__pgbackrest_second": second_repository(second, GIVEN["pgbackrest_repo_path"]),
    }
    return environment.from_string(TEMPLATE.read_text()).render({**GIVEN, **own, **more})


@pytest.mark.parametrize(("host", "asynchronous"), [("repo", False), ("a", False), ("a", True)])
def test_of_one_repository_it_is_as_it_was(host: str, asynchronous: bool) -> None:
    kept = (FIXTURES / f"pgbackrest_{'repository' if host == 'repo' else 'server'}.conf").read_text()
    expected = kept.replace("archive-async=n", "archive-async=y") if asynchronous else kept
    assert rendered(host, NONE, pgbackrest_archive_async=asynchronous) == expected


def test_a_second_one_adds_lines_and_changes_one() -> None:
    was, now = (rendered("repo", second).splitlines() for second in (NONE, DIRECTORY))
    assert [line for line in now if line not in was] == [
        *("archive-timeout=240", "archive-async=y"),
        *("repo2-type=posix", "repo2-path=/mnt/two", "repo2-retention-full=7", "repo2-bundle=y", "repo2-block=y"),
    ]
    assert [line for line in was if line not in now] == ["archive-timeout=60", "archive-async=n"]
    assert "archive-timeout=900\n" in rendered("repo", DIRECTORY, pgbackrest_archive_timeout="900")


def test_a_server_knows_no_more_of_it_than_that_it_is_there() -> None:
    was, now = (rendered("a", second).splitlines() for second in (NONE, DIRECTORY))
    added = [line for line in now if line not in was and not line.startswith("#")]
    assert added == [
        "archive-async=y",
        *("repo2-host=10.0.0.9", "repo2-host-type=tls", "repo2-host-port=8432"),
        *(f"repo2-host-{name}" for name in ("ca-file=/etc/relevo/tls/ca.crt", "cert-file=/etc/relevo/tls/node.crt")),
        "repo2-host-key-file=/etc/relevo/tls/node.key",
        *("[global:archive-push]", "io-timeout=3"),
    ]
    assert [line for line in was if line not in now] == ["archive-async=n"]


def test_what_a_server_reads_is_not_given_up_early() -> None:
    """To PostgreSQL a restore_command that fails is the end of the archive; a push that fails is tried again."""
    now = rendered("a", DIRECTORY)
    assert "io-timeout=20\n" in now
    assert "archive-get" not in now


def test_a_cluster_that_the_play_is_not_about_keeps_its_part_beside_a_second_one() -> None:
    """The second one is the repository host's; each file that knows one alone has the same part."""
    hosts = HOSTS | {"s": HOSTS["s"] | {"node_address": "10.0.0.7", "postgresql_port": 5555}}
    kept = stanzas_in(rendered("repo", NONE), ["shop"])
    assert list(kept) == ["shop"]
    now = rendered("repo", DIRECTORY, hostvars=hosts, __pgbackrest_kept_parts=kept)
    assert now == rendered("repo", DIRECTORY)
    assert stanzas_in(now, ["shop"]) == stanzas_in(alone(now, 1), ["shop"]) == stanzas_in(alone(now, 2), ["shop"])


def test_the_same_is_asked_before_any_host_of_several_clusters_gets_its_part() -> None:
    tasks = TEMPLATE.parents[1] / "tasks"
    written = yaml.safe_load((tasks / "main.yml").read_text())
    tried = yaml.safe_load((tasks / "try.yml").read_text())[0]["block"]
    check, files = "relevo.postgres.pgbackrest_repository_check", "relevo.postgres.managed_files"
    first, second = (next(task[check] for task in given if check in task) for given in (written, tried))
    assert first == second
    first, second = (next(task["no_log"] for task in given if files in task) for given in (written, tried))
    assert first == second
