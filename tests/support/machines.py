"""Machines for the tests: containers that are told from a machine by nothing but their speed.

systemd is their first process; they are reached by sshd, with a key, as a user who has to give a password to become
root. Their names follow the same pattern as those of the other tests' containers, so that whoever asks the servers need
not know the difference.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from clients import wait_until_streaming
from cluster import (
    DEFAULT_VERSION,
    FAILBACK,
    FIRST_PORT,
    INVENTORY,
    NETWORK,
    PORTS,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    ROOT,
    STANDBY,
    VERSION,
    controller_environment,
    docker,
    play,
    shell,
    wait_until,
)

MACHINES = [PRIMARY, STANDBY, REPOSITORY]
UNIT = "relevo-postgresql"
FOLDER = ROOT / "tests" / "machines"
#: The release of Debian that the machines have, and the image's name; the default is our containers' release.
SUITE = os.environ.get("RELEVO_MACHINES_SUITE", "")
IMAGE = "relevo/test-machine" + (f"-{SUITE}" if SUITE else "")
#: Whether the nodes reach each other by addresses of IPv4, as where there is no name server.
BY_ADDRESS = os.environ.get("RELEVO_MACHINES_BY_ADDRESS") == "yes"
BINARY = f"/usr/lib/postgresql/{VERSION}/bin/postgres"
SSH_PORTS = {name: FIRST_PORT + 10 + offset for offset, name in enumerate(MACHINES)}
#: Where a client outside reaches HAProxy, in the tests that put it on the repository host.
PROXY_PORT = FIRST_PORT + 8
#: What is published of a machine, beside its sshd.
PUBLISHED = {**{name: {port: 5432} for name, port in PORTS.items()}, REPOSITORY: {PROXY_PORT: 5000}}
#: Those of the machines that one test has beside these (``further``): of sshd, and of PostgreSQL.
FURTHER_SSH_PORT, FURTHER_PORT = FIRST_PORT + 20, FIRST_PORT + 25
#: Of the first machine within its network; the engine gives what joins later a lower one.
FIRST_ADDRESS = 100
#: The primary's row of the status's table; the heading of the connection strings speaks of a primary too.
PRIMARY_S_ROW = re.compile(r"│ primary +│")
#: What systemd needs as the first process of a container that is not privileged.
SYSTEMD = (
    "--cap-add=SYS_ADMIN --security-opt=seccomp=unconfined --security-opt=apparmor=unconfined --tmpfs=/run --tmpfs=/tmp"
    " --tmpfs=/run/lock --volume=/sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host"
).split()


def base_image() -> str:
    """The image that our containers are built on, too; made where the engine has none."""
    defaults = yaml.safe_load((ROOT / "roles" / "docker_nodes" / "defaults" / "main.yml").read_text())
    wanted = {
        "name": f"debian:{SUITE}-slim" if SUITE else defaults["docker_nodes_base_image"],
        "fallback_name": f"relevo/base:{SUITE}" if SUITE else defaults["docker_nodes_base_fallback"],
        "suite": SUITE or defaults["docker_nodes_base_suite"],
    }
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-m", "relevo.postgres.docker_base_image"]
    done = subprocess.run(
        [*command, "-a", json.dumps(wanted)],
        cwd=ROOT,
        env=controller_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1300,
    )
    found = re.search(r"""["']?image["']?: ["']?([^"',\s]+)""", done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert found is not None, done.stdout
    return found[1]


def build() -> None:
    """The image; the engine keeps each step of it for the next run."""
    command = ["docker", "build", "--quiet", "--tag", IMAGE, "--label", "relevo.managed=true"]
    command += ["--build-arg", f"BASE_IMAGE={base_image()}", "--build-arg", f"POSTGRESQL_VERSION={VERSION}"]
    done = subprocess.run([*command, str(FOLDER / "image")], capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr


def write_inventory() -> None:
    """The inventory, and beside it what the login needs."""
    INVENTORY.parent.mkdir(parents=True, exist_ok=True)
    text = (FOLDER / "inventory.yml").read_text().replace("relevo_test", NETWORK)
    for number, port in enumerate(SSH_PORTS.values()):
        text = text.replace(f"PORT_{number}", str(port))
    for name in MACHINES if BY_ADDRESS else ():
        host = f"\n            {name}:\n"
        # The first time that it is named, which is where its other variables are.
        text = text.replace(host, f"{host}              node_address: {address(name)}\n", 1)
    # Where it is the default nothing has to say so.
    version = "" if VERSION == DEFAULT_VERSION else f'    postgresql_version: "{VERSION}"\n'
    INVENTORY.write_text(text.rstrip("\n") + f"\n{version}")
    key = INVENTORY.parent / "login"
    for path in (key, key.with_suffix(".pub"), INVENTORY.parent / "known_hosts"):
        path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
    handle = os.open(INVENTORY.parent / "sudo_password", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(12))


def make_network() -> None:
    docker("network", "create", NETWORK)
    if BY_ADDRESS:
        # An address may be asked for only in a range that was asked for: it is the one that the engine has found free.
        subnet = subnet_of(NETWORK)
        docker("network", "rm", NETWORK)
        docker("network", "create", "--subnet", subnet, NETWORK)
    address.cache_clear()


def subnet_of(network: str) -> str:
    """Its range of IPv4."""
    known = docker("network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", network).split()
    return next(one for one in known if ":" not in one)


@functools.cache
def address(name: str) -> str:
    """The address that a machine has as long as there is its network, whatever becomes of the machine."""
    return str(ipaddress.ip_network(subnet_of(NETWORK))[FIRST_ADDRESS + MACHINES.index(name)])


def own_address(name: str) -> list[str]:
    """What the engine is told of it when the machine joins its network."""
    return ["--ip", address(name)] if BY_ADDRESS and name in MACHINES else []


def cut_off(name: str) -> None:
    """Take the network away from a machine; nobody reaches it, sshd included."""
    docker("network", "disconnect", NETWORK, name)


def connect(name: str) -> None:
    docker("network", "connect", *own_address(name), NETWORK, name)


def start(name: str, published: Mapping[int, int]) -> None:
    """``published``: the ports of the machine, by those of the controller."""
    ports = [f"--publish=127.0.0.1:{outside}:{inside}" for outside, inside in published.items()]
    where = ["--hostname", name, "--network", NETWORK, *own_address(name)]
    docker("run", "--detach", "--name", name, *where, *SYSTEMD, *ports, IMAGE)


def wait_until_up(name: str) -> None:
    """Until its sshd runs. While the start guard refuses, systemd counts the machine as starting."""

    def up() -> bool:
        command = ["docker", "exec", name, "systemctl", "is-active", "ssh"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip() == "active"

    wait_until(up, f"{name} to boot", 120)


def let_in(name: str) -> None:
    """Give the login its key and its password."""
    password = (INVENTORY.parent / "sudo_password").read_text()
    shell(name, "chpasswd", stdin=f"dba:{password}\n")
    script = "install -d -m 0700 -o dba -g dba ~dba/.ssh; cat > ~dba/.ssh/authorized_keys; chown dba: ~dba/.ssh/*"
    shell(name, "bash", "-ec", script, stdin=(INVENTORY.parent / "login.pub").read_text())


def away(*names: str) -> None:
    for name in names:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, timeout=120)


def remove() -> None:
    """Remove the machines and all that they hold, also those of ``further``; it is nothing when they are not there."""
    away(*MACHINES, *docker("ps", "-a", "--filter", f"network={NETWORK}", "--format", "{{.Names}}").split())
    subprocess.run(["docker", "network", "rm", NETWORK], capture_output=True, timeout=60)
    for folder in (".secrets", "group_vars"):
        shutil.rmtree(INVENTORY.parent / folder, ignore_errors=True)


def there() -> bool:
    """Whether an earlier run has left its machines, and what the login needs."""
    return INVENTORY.exists() and set(MACHINES) <= set(docker("ps", "--format", "{{.Names}}").split())


def make() -> None:
    """New machines, on which nothing is installed yet."""
    remove()
    build()
    make_network()
    write_inventory()
    for name in MACHINES:
        start(name, {SSH_PORTS[name]: 22, **PUBLISHED[name]})
    for name in MACHINES:
        wait_until_up(name)
        let_in(name)


def further(*names: str) -> dict[str, dict[str, Any]]:
    """More machines, on which nothing is installed yet; returns what an inventory has to say of each of them."""
    known_hosts = INVENTORY.parent / "known_hosts"
    hosts = {name: {"ansible_port": FURTHER_SSH_PORT + number} for number, name in enumerate(names)}
    for number, (name, host) in enumerate(hosts.items()):
        away(name)
        # One of before had another key.
        forgotten = ["ssh-keygen", "-q", "-R", f"[127.0.0.1]:{host['ansible_port']}", "-f", str(known_hosts)]
        subprocess.run(forgotten, check=True, capture_output=True, timeout=60)
        start(name, {host["ansible_port"]: 22, FURTHER_PORT + number: 5432})
    for name in names:
        wait_until_up(name)
        let_in(name)
    return hosts


def systemctl(node: str, *arguments: str) -> str:
    return shell(node, "systemctl", *arguments)


def unit_state(node: str) -> str:
    """What systemd says of the server's unit: active, inactive, failed, activating, ..."""
    return shell(node, "systemctl", "show", "-p", "ActiveState", "--value", UNIT).strip()


def kill_server(node: str = PRIMARY) -> None:
    """End each process of a node's server at once, as the kernel does when memory runs out."""
    systemctl(node, "kill", "--signal=KILL", UNIT)


def back_to_the_start() -> None:
    """The preferred primary has the role again, and all is well."""
    play(REJOIN)
    play(FAILBACK)
    wait_until_streaming(PRIMARY)


def reboot(node: str) -> None:
    """Take the power away, and give it back."""
    docker("kill", node)
    docker("start", node)
    wait_until_up(node)


if __name__ == "__main__":
    # For a process that has another cluster under its names (tests/benchmark).
    {"make": make, "remove": remove}[sys.argv[1]]()
