"""Variables of the role packages, on a host of its own: our images have all packages, so site.yml leaves it out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import docker, play, shell
from nondefault import REDIS, inspected

HOST = "relevo_vars_machine"
LISTS = "/var/lib/apt/lists"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """The inventory of a host that has what our Redis has, and lists of what can be installed."""
    docker("run", "--detach", "--name", HOST, json.loads(inspected(REDIS, ".Config.Image")), "sleep", "infinity")
    variables = {"ansible_connection": "community.docker.docker_api", "ansible_user": "root"}
    path = tmp_path / "hosts.yml"
    hosts = {HOST: {"ansible_python_interpreter": "/usr/bin/python3", **variables}}
    path.write_text(yaml.safe_dump({"all": {"children": {"redis": {"hosts": hosts}}}}))
    (tmp_path / "packages.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": ["relevo.postgres.packages"]}])
    )
    shell(HOST, "apt-get", "update", "-q")
    yield path
    docker("rm", "--force", "--volumes", HOST)


def installed(package: str) -> bool:
    asked = ["docker", "exec", HOST, "dpkg-query", "-W", package]
    return subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0


def lists() -> list[str]:
    """The lists of what can be installed."""
    return shell(HOST, "find", LISTS, "-name", "*Packages*").split()


def lose_lists() -> None:
    """As if they had been fetched two hours ago, and one were wanting: apt leaves alone what has not changed."""
    shell(HOST, "find", LISTS, "-name", "*Packages*", "-delete")
    shell(HOST, "touch", "-d", "2 hours ago", LISTS)


@pytest.mark.variables("packages_install", "packages_cache_valid_time")
def test_packages_are_installed_unless_told_otherwise(host: Path) -> None:
    def run(**variables: object) -> None:
        play(str(host.with_name("packages.yml")), "-e", json.dumps(variables), inventory=host)

    run(packages_extra=["tree"], packages_install=False)
    assert not installed("tree")
    run(packages_extra=["tree"])
    assert installed("tree")
    lose_lists()
    run()
    assert not lists()
    run(packages_cache_valid_time=600)
    assert lists()
