"""The rivals' containers: made, looked at and removed by name."""

from __future__ import annotations

import json
from collections.abc import Mapping

from systems.base import PREFIX, docker, in_node

NETWORK = f"{PREFIX}_rivals"
#: What everything of the rivals is labelled with, so that the repository knows when nobody needs it any more.
LABEL = f"{PREFIX}.rival"
DATA = "/var/lib/postgresql"


def images_of_containers() -> dict[str, str]:
    """The rivals' containers that there are, running or not, and the image of each."""
    listed = docker("ps", "-a", "--filter", f"label={LABEL}", "--format", "{{json .}}").splitlines()
    return {str(one["Names"]): str(one["Image"]) for one in map(json.loads, listed)}


def running(name: str) -> bool:
    return docker("ps", "-q", "--filter", f"name=^{name}$").strip() != ""


def start(name: str, image: str, *command: str, ports: Mapping[int, int] | None = None, volume: str = DATA) -> None:
    """Make a container with a data volume, as the product makes its nodes: no privilege, no added capability.

    ``ports`` says at which port of 127.0.0.1 a port of the container is published.
    """
    if not docker("network", "ls", "-q", "--filter", f"name=^{NETWORK}$").strip():
        docker("network", "create", "--label", f"{LABEL}=network", NETWORK)
    published = [f"--publish=127.0.0.1:{outside}:{inside}" for inside, outside in (ports or {}).items()]
    options = ["--network", NETWORK, "--hostname", name, "--shm-size", "256M", "--log-opt", "max-size=10m"]
    docker("run", "-d", "--name", name, *options, "--label", f"{LABEL}=node", "-v", f"{name}_data:{volume}", *published,
           image, *command)  # fmt: skip


def remove(*names: str) -> None:
    """Remove containers and their volumes, whether they are there or not."""
    there = images_of_containers()
    found = [name for name in names if name in there]
    if found:
        docker("rm", "-f", "-v", *found)
    volumes = docker("volume", "ls", "-q", "--filter", f"name={PREFIX}").split()
    gone = [f"{name}_data" for name in names if f"{name}_data" in volumes]
    if gone:
        docker("volume", "rm", *gone)


def remove_network() -> None:
    if docker("network", "ls", "-q", "--filter", f"name=^{NETWORK}$").strip():
        docker("network", "rm", NETWORK)


def write(node: str, path: str, text: str, owner: str = "postgres", mode: str = "0644") -> None:
    """Write a file in a container; whoever waits for it sees all of it or nothing."""
    script = (
        """mkdir -p "${1%/*}" && cat > "$1.new" && chown "$2" "$1.new" && chmod "$3" "$1.new" && mv "$1.new" "$1\""""
    )
    in_node(node, "sh", "-c", script, "sh", path, owner, mode, user="root", stdin=text)
