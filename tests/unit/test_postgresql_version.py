"""The major version stands in one place, and what follows from it follows everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import (
    ROLE_DEFAULTS,
    default_version,
    postgresql_paths,
)
from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.container import ContainerNode
from ansible_collections.relevo.postgres.plugins.module_utils._server import server as servers
from ansible_collections.relevo.postgres.plugins.module_utils._server.installation import (
    configured_version,
    local_port,
    port_refusal,
    refusal,
    versions_with_data,
)
from ansible_collections.relevo.postgres.plugins.modules.pg_initdb import locale_options

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = re.escape(default_version())
#: The version as somebody would write it down: a path, a package, a quoted value, a name.
WRITTEN = re.compile(
    rf"postgresql[-/]{DEFAULT}\b|\b{DEFAULT}/(main|bin)\b|\b{DEFAULT}-\d|[\"']{DEFAULT}[\"']|PostgreSQL {DEFAULT}\b"
)
HIDDEN = re.compile(r"(^|/)(\.|__pycache__)")
#: Where it belongs: the default, and the default's description, which test_argument_specs holds against it.
OWNERS = {
    "roles/postgresql/defaults/main.yml",
    "roles/postgresql/meta/argument_specs.yml",
}


def test_the_version_stands_in_one_place() -> None:
    folders = ("roles", "plugins", "playbooks", "inventory", "examples", "bin", "meta", "molecule")
    files = [ROOT / "Makefile", *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in files
        # Not what a play has left there, as secrets.
        if path.is_file() and path.suffix not in (".pyc", ".md") and not HIDDEN.search(str(path.relative_to(ROOT)))
    }
    assert len(texts) > 200
    assert {name for name, text in texts.items() if WRITTEN.search(text)} == OWNERS
    assert len(WRITTEN.findall(texts["roles/postgresql/defaults/main.yml"])) == 1


def test_what_follows_from_a_version() -> None:
    assert postgresql_paths("23") == {
        "version": "23",
        "data_directory": "/var/lib/postgresql/23/main",
        "bin_directory": "/usr/lib/postgresql/23/bin",
        "package": "postgresql-23",
        "parameters": {"reserved_connections": 5},
        "unlimited": _names.unlimited(23, superuser=True),
    }
    # YAML makes a number of it.
    assert postgresql_paths(23) == postgresql_paths("23")


def test_without_a_version_it_is_the_roles_default() -> None:
    role = yaml.safe_load(ROLE_DEFAULTS.read_text(encoding="utf-8"))["postgresql_version"]
    assert postgresql_paths(None) == postgresql_paths() == postgresql_paths(role)


@pytest.mark.parametrize("version", ["", "17.2", "latest", "9.6", "14", 14, "-17", "²³"])
def test_what_is_no_version(version: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="Give a major version alone"):
        postgresql_paths(version)


@pytest.mark.parametrize(
    "template",
    [
        "roles/pgbackrest/templates/pgbackrest.conf.j2",
        "roles/postgresql/vars/main.yml",
        "roles/packages/vars/main.yml",
        "roles/docker_nodes/tasks/plan.yml",
    ],
)
def test_the_roles_take_it_from_the_filter(template: str) -> None:
    assert "relevo.postgres.postgresql_paths" in (ROOT / template).read_text(encoding="utf-8")


# --- on a node -------------------------------------------------------------------------------------------------------


def configuration(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "postgresql.conf"
    path.write_text(text)
    return path


def test_a_node_knows_its_version_by_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# Written\ndata_directory = '/var/lib/postgresql/23/main'\nhba_file = '/etc/relevo/pg_hba.conf'\n"
    found = configured_version(configuration(tmp_path, text))
    assert found == "23"
    monkeypatch.setattr(servers, "configured_version", lambda: found)
    server = servers.Server()
    assert server.pgdata == Path("/var/lib/postgresql/23/main")
    assert server.bin_directory == Path("/usr/lib/postgresql/23/bin")


def test_a_node_that_is_not_configured_has_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_names, "CONFIG_FILE", tmp_path / "postgresql.conf")
    # Every kind of node is asked whether a server runs there.
    assert servers.Server().postmaster_pid() is None
    with pytest.raises(RelevoError, match=r"is not configured: there is no .*postgresql.conf. Run site.yml first"):
        configured_version(tmp_path / "postgresql.conf")


@pytest.mark.parametrize("text", ["", "data_directory = '/srv/data'\n", "data_directory = '/srv/postgresql/17/main'\n"])
def test_another_data_directory_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RelevoError, match="Take data_directory out of postgresql_parameters"):
        configured_version(configuration(tmp_path, text))


def test_versions_with_data(tmp_path: Path) -> None:
    assert versions_with_data(tmp_path) == []
    for name in ("9/main", "23/main", "17/main", "old/main", "18/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "PG_VERSION").write_text("")
    (tmp_path / "19" / "main").mkdir(parents=True)
    assert versions_with_data(tmp_path) == ["9", "17", "23"]


@pytest.mark.parametrize(
    ("wanted", "present", "refused"),
    [
        ("18", [], False),
        ("18", ["18"], False),
        # Left over by an upgrade.
        ("18", ["17", "18"], False),
        ("18", ["17"], True),
        ("17", ["18"], True),
    ],
)
def test_data_of_another_version_are_refused(wanted: str, present: list[str], refused: bool) -> None:
    sentence = refusal(wanted, present)
    assert bool(sentence) == refused
    if refused:
        assert f"of PostgreSQL {present[-1]}, but postgresql_version is {wanted}" in sentence
        assert sentence.endswith(f"set postgresql_version to {present[-1]}.")


# --- the port --------------------------------------------------------------------------------------------------------


def test_the_port_of_this_node(tmp_path: Path) -> None:
    conf = tmp_path / "postgresql.conf"
    assert local_port(conf) == 5432
    conf.write_text(f"data_directory = '{tmp_path}'\nport = '6432'\n")
    assert local_port(conf) == 6432
    # The server has not been restarted since the configuration was written.
    (tmp_path / "postmaster.pid").write_text(f"71\n{tmp_path}\n1764132401\n5433\n/var/run/postgresql\n*\n")
    assert local_port(conf) == 5433
    # It is being written.
    (tmp_path / "postmaster.pid").write_text("71\n")
    assert local_port(conf) == 6432


@pytest.mark.parametrize(
    ("wanted", "listening", "refused"),
    [(5432, None, False), (5432, 5432, False), (None, 5433, False), (6432, 5432, True)],
)
def test_another_port_is_refused_while_the_server_runs(wanted: int, listening: int, refused: bool) -> None:
    sentence = port_refusal(wanted, listening)
    assert bool(sentence) == refused
    if refused:
        assert sentence.startswith("The server listens on port 5432, but postgresql_port is 6432. ")


# --- a container that may be down ------------------------------------------------------------------------------------


class FakeApi:
    def __init__(self, environment: list[str] | None) -> None:
        self._environment = environment

    def inspect_container(self, name: str) -> dict[str, Any]:
        return {"Name": f"/{name}", "Config": {"Env": self._environment}}


class FakeClient:
    def __init__(self, environment: list[str] | None) -> None:
        self.api = FakeApi(environment)


def test_a_container_knows_its_version_by_its_image() -> None:
    node = ContainerNode(FakeClient(["PATH=/bin", "PGDATA=/var/lib/postgresql/23/main"]), "db")
    assert node.version() == "23"
    assert node.wal_directory() == "/var/lib/postgresql/23/main/pg_wal"


@pytest.mark.parametrize("environment", [None, [], ["PGDATABASE=x"]])
def test_a_container_that_is_none_of_ours_is_named(environment: list[str] | None) -> None:
    with pytest.raises(RelevoError, match="The container db has no variable PGDATA"):
        ContainerNode(FakeClient(environment), "db").version()


@pytest.mark.parametrize(("version", "known"), [(15, False), (16, False), (17, True)])
def test_a_session_asks_for_nothing_that_its_server_does_not_know(version: int, known: bool) -> None:
    assert ("transaction_timeout" in _names.unlimited(version)) == known
    assert ("event_triggers=off" in _names.unlimited(version, superuser=True)) == known
    # Nobody else may ask for these.
    assert not any(name in _names.unlimited(version) for name in ("event_triggers", "lc_messages"))
    assert "lc_messages=C" in _names.unlimited(version, superuser=True)
    assert "transaction_timeout" not in _names.unlimited()
    assert "-c statement_timeout=0" in _names.unlimited()


def test_our_sessions_are_not_what_a_server_sets_for_applications() -> None:
    """A standby answers no serializable one."""
    for option in (r"isolation=read\ committed", "default_transaction_read_only=off", "standard_conforming_strings=on"):
        assert option in _names.unlimited()


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (15, ["--locale-provider=libc", "--locale=C.UTF-8"]),
        (17, ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]),
    ],
)
def test_how_a_new_cluster_is_told_of_its_locale(version: int, options: list[str]) -> None:
    assert locale_options(version, "C.UTF-8") == options
