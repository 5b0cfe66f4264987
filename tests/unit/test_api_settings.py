# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control API is told: refusals before anything is written, and one file that the service understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment
from relevo_api.operations import BACKUPS, CHECK, OPERATIONS, STATUS
from relevo_api.settings import AWX_TEMPLATES, IN_PLACE, Awx, Limits, Settings, template_key

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.api_settings import (
    KNOWN_KEYS,
    api_settings,
    fault_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "control_api"
GIVEN: dict[str, Any] = {
    "listen": "127.0.0.1",
    "port": 8088,
    "state_directory": "/s",
    "playbooks": "/p",
    "project_directory": "/c",
    "secrets_directory": "/c/.secrets",
    "watcher": ["python"],
    "open_legacy": False,
    "allowed_hosts": ["localhost"],
    "health_from": ["127.0.0.0/8"],
    "tls_certificate": "",
    "tls_key": "",
    "tls_client_authority": "",
    "plain_http": False,
    "backend": "runner",
    "keep_jobs": 5,
    "limits": {},
    "passfile": "/s/pgpass",
    "authority": "/s/ca.crt",
    "ansible_playbook": "/v/bin/ansible-playbook",
    "inventory": ["/i"],
    "ansible_config": "",
    "collections_path": "/c",
}
GROUPS = {"postgres": ["a", "b"]}
HOSTS: dict[str, dict[str, Any]] = {
    "a": {"node_kind": "docker", "node_published_port": 6000, "node_preferred_primary": True},
    "b": {"node_address": "10.0.0.2", "node_kind": "ssh"},
}


def test_the_role_gives_what_is_taken() -> None:
    given = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__control_api_given"]
    assert GIVEN.keys() <= given.keys()


def test_the_service_understands_its_settings() -> None:
    told = api_settings(GROUPS, HOSTS, GIVEN)
    settings = Settings.model_validate(told.settings)
    assert settings.clusters[0].preferred == "a"
    a, b = settings.clusters[0].nodes
    # A container is reached at its published port, under the name that its certificate has.
    assert (a.host, a.address, a.port) == ("a", "127.0.0.1", 6000)
    assert (b.host, b.address, b.port) == ("10.0.0.2", "10.0.0.2", 5432)
    assert told.watch["clusters"][0]["nodes"] == [a.model_dump(), b.model_dump()]
    assert told.groups == ["docker"]


def test_and_those_of_an_awx() -> None:
    awx = {"backend": "awx", "awx_url": "https://awx", "awx_token_file": "/t", "awx_templates": {"failover": "x"}}
    settings = Settings.model_validate(api_settings(GROUPS, HOSTS, {**GIVEN, **awx}).settings)
    assert isinstance(settings.backend, Awx)
    assert settings.backend.template("failover") == "x"
    assert settings.backend.template("drill") == "Relevo drill++Default"
    of_ours = api_settings(GROUPS, HOSTS, {**GIVEN, **awx, "awx_organization": "Databases"}).settings
    assert Awx(**of_ours["backend"]).template("restore") == "Relevo restore beside++Databases"


def test_every_playbook_that_the_service_runs_has_a_template_of_awx_yml() -> None:
    objects = yaml.safe_load((ROOT / "roles" / "awx" / "vars" / "main" / "templates.yml").read_text())
    made = {one["name"]: one for one in objects["controller_templates"]}
    for key, name in AWX_TEMPLATES.items():
        variables = made[name].get("extra_vars", {})
        assert template_key(Path(made[name]["playbook"]).name, variables) == key
    assert made[AWX_TEMPLATES[IN_PLACE]]["extra_vars"] == {"to": "cluster"}
    run = {one.playbook for one in (*OPERATIONS, STATUS, BACKUPS, CHECK)}
    assert run == {f"{name}.yml" for name in AWX_TEMPLATES.keys() - {IN_PLACE}}


def test_the_keys_that_are_taken_are_those_that_the_service_knows() -> None:
    assert {"awx_templates": tuple(AWX_TEMPLATES), "limits": tuple(Limits.model_fields)} == KNOWN_KEYS


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"listen": "0.0.0.0"}, "in the clear"),
        ({"listen": "10.0.0.1"}, "in the clear"),
        ({"tls_certificate": "/c"}, "Set both"),
        ({"tls_client_authority": "/c"}, "TLS is off"),
        ({"backend": "awx"}, "control_api_awx_url"),
        ({"health_from": ["10.0.0.1/8"]}, "is not a network"),
        ({"open_legacy": True, "plain_http": True}, "control_api_open_legacy"),
        (
            {"awx_templates": {"fail-over": "x"}},
            "control_api_awx_templates has fail-over, which is not known. It takes st",
        ),
        (
            {"limits": {"bodybytes": 1, "rat": 2}},
            "control_api_limits has bodybytes, rat, which is not known. It takes bod",
        ),
        (
            {"open_legacy": True, "listen": "0.0.0.0", "tls_certificate": "/c", "tls_key": "/k"},
            "control_api_open_legacy",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, Any], word: str) -> None:
    assert word in fault_of({**GIVEN, **change})
    with pytest.raises(RelevoError, match="Nothing was changed"):
        api_settings(GROUPS, HOSTS, {**GIVEN, **change})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"listen": "::1"},
        {"listen": "localhost"},
        {"open_legacy": True},
        {"awx_templates": dict.fromkeys(AWX_TEMPLATES, "x"), "limits": Limits().model_dump()},
        {"listen": "0.0.0.0", "plain_http": True},
        {"listen": "0.0.0.0", "tls_certificate": "/c", "tls_key": "/k"},
    ],
)
def test_what_can_be_meant_is_not(change: dict[str, Any]) -> None:
    assert fault_of({**GIVEN, **change}) == ""


def test_the_old_endpoints_are_open_in_the_container_inventory_only() -> None:
    """Beside the role's specification and its default, which is false, nothing but that inventory sets it."""
    places = ("inventory", "playbooks", "roles", "examples", "molecule")
    files = [path for place in places for path in (ROOT / place).rglob("*.yml")]
    found = {
        str(path.relative_to(ROOT)): line.strip()
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if "control_api_open_legacy:" in line
    }
    assert found.pop("roles/control_api/meta/argument_specs.yml") == "control_api_open_legacy:"
    assert found == {
        "inventory/docker.yml": "control_api_open_legacy: true",
        "roles/control_api/defaults/main.yml": "control_api_open_legacy: false",
    }


def test_the_requirements_of_the_service_are_those_of_the_checkout() -> None:
    def lines(path: Path) -> set[str]:
        return {line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")}

    assert lines(ROLE / "files" / "requirements.txt") <= lines(ROOT / "requirements.txt")


def test_the_service_imports_no_plugin() -> None:
    for path in (ROLE / "files").rglob("*.py"):
        assert "ansible_collections" not in path.read_text(), path


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8088"),
        ({"port": 9, "allowed_hosts": ["::1"]}, "http://[::1]:9"),
        ({"tls_certificate": "/c", "tls_key": "/k", "allowed_hosts": ["db.example"]}, "https://db.example:8088"),
    ],
)
def test_where_the_service_answers(given: dict[str, Any], url: str) -> None:
    runner = {"kind": "runner", "ansible_playbook": "/x", "inventory": []}
    fixed = {"state_directory": "/s", "playbooks": "/p", "project_directory": "/c", "backend": runner, "clusters": []}
    assert Settings.model_validate({**fixed, **given}).url == url
    for path in (ROLE / "files" / "relevo_api").glob("*.py"):
        assert "127.0.0.1:8088/" not in path.read_text(encoding="utf-8"), path.name


def test_a_password_is_escaped_for_the_watcher_as_for_the_servers() -> None:
    tasks = (ROLE / "tasks").glob("*.yml")
    [writing] = [text for text in map(Path.read_text, tasks) if "name: pgpass" in text]
    assert "secrets/templates/pgpass.j2', template_vars=__control_api_pgpass" in writing
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__control_api_pgpass"]
    environment = Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    template = environment.from_string((ROOT / "roles" / "secrets" / "templates" / "pgpass.j2").read_text())
    line = template.render({**variables, "__secrets": {"secrets": {"relevo_monitor": "a:b\\c"}}})
    assert line == "*:*:*:relevo_monitor:a\\:b\\\\c\n"


def test_it_listens_to_this_machine_alone_at_the_old_port_unless_somebody_says_more() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    fields = Settings.model_fields
    for name, value in (("listen", "127.0.0.1"), ("port", 8088)):
        assert defaults[f"control_api_{name}"] == fields[name].default == value
