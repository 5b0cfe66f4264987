# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control host for the tests: one machine with systemd that has this checkout and the Python that runs the tests.

Both are mounted, where they are on this machine, so that nothing is installed twice and no network is needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import machines
from cluster import INVENTORY, NETWORK, ROOT, Play, docker, shell, wait_until

HOST = f"{NETWORK}_control"
#: Where the host has its inventory, below which the tests' own machine has nothing.
HOME = "/srv/cluster"
PYTHON = Path(sys.executable)
SOCKET = Path("/var/run/docker.sock")
#: Not the default.
DIRECTORY = "/var/lib/relevo-timers"


def interpreter() -> list[Path]:
    """Where the Python is of which the tests' environment was made; of the system's own only what is Python's."""
    base = Path(sys.base_prefix).resolve()
    return [base] if base != Path("/usr") else [Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))]


def mounted() -> list[Path]:
    """What the controller's side needs to read, at the paths that it has here; none is within another."""
    needed = {ROOT, Path(sys.prefix).resolve(), (ROOT / ".venv").resolve(), *interpreter()}
    return sorted(one for one in needed if not any(other in one.parents for other in needed))


def start(*more: str) -> None:
    """A new control host; ``more`` for ``docker run``."""
    remove()
    machines.build()
    mounts = [f"--volume={path}:{path}:ro" for path in mounted()]
    docker("run", "--detach", "--name", HOST, "--hostname", "ctl", *machines.SYSTEMD, *mounts, *more, machines.IMAGE)
    machines.wait_until_up(HOST)
    # A Python below somebody's home can be reached by all: that of the tests may be there.
    for path in mounted():
        for parent in path.parents:
            if str(parent) != "/":
                shell(HOST, "chmod", "o+x", str(parent))
    systemd_is_up()
    # As Docker's package makes it; its socket may be given by a test.
    shell(HOST, "groupadd", "--gid", str(SOCKET.stat().st_gid), "docker")


def systemd_is_up() -> None:
    def up() -> bool:
        command = ["docker", "exec", HOST, "systemctl", "is-system-running"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout.strip() in ("running", "degraded")

    wait_until(up, "the control host to boot", 120)


def there() -> bool:
    return HOST in docker("ps", "--format", "{{.Names}}").split()


def remove() -> None:
    subprocess.run(["docker", "rm", "--force", "--volumes", HOST], capture_output=True, timeout=120)


def reboot() -> None:
    docker("restart", HOST)
    machines.wait_until_up(HOST)
    systemd_is_up()


def give(text: str, path: str, mode: str = "0644", owner: str = "root") -> None:
    """Write a file there."""
    shell(HOST, "install", "-d", str(Path(path).parent))
    shell(HOST, "bash", "-ec", f"cat > {path}; chmod {mode} {path}; chown {owner} {path}", stdin=text)


def give_inventory(owner: str) -> str:
    """A copy of the tests' inventory, which belongs to a user of the host; returns its path."""
    give(INVENTORY.read_text(), f"{HOME}/hosts.yml", owner=owner)
    return f"{HOME}/hosts.yml"


def play(name: str, *arguments: str, expect: int | None = 0, user: str = "root") -> Play:
    """Run a playbook there, as an administrator would at a terminal."""
    command = [str(PYTHON.with_name("ansible-playbook")), "-i", f"{HOME}/hosts.yml", name, *arguments]
    environment = [f"ANSIBLE_CONFIG={ROOT}/ansible.cfg", "LC_ALL=C.UTF-8"]
    enter = ["docker", "exec", "--user", user, "--workdir", str(ROOT), HOST, "env", *environment]
    done = subprocess.run(
        [*enter, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False
    )
    result = Play(done.returncode, done.stdout + done.stderr, 0)
    print(f"\nctl$ ansible-playbook {name} {' '.join(arguments)}   [status {result.code}]")
    if expect is not None and result.code != expect:
        raise AssertionError(f"{name} ended with {result.code}, not {expect}:\n{result.output[-6000:]}")
    return result


def systemctl(*arguments: str, expect: int = 0) -> str:
    command = ["docker", "exec", HOST, "systemctl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == expect, f"systemctl {' '.join(arguments)}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout


def journal(unit: str) -> str:
    shell(HOST, "journalctl", "--sync")
    return shell(HOST, "journalctl", "--no-pager", "--output=cat", "-u", unit)


def record(job: str) -> dict[str, Any]:
    """What became of a job's last run."""
    found: dict[str, Any] = json.loads(shell(HOST, "cat", f"{DIRECTORY}/jobs/{job}/run.json"))
    return found
