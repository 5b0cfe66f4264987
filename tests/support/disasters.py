"""What happens to nodes on a very bad day."""

from __future__ import annotations

from cluster import PGDATA, docker


def lose(node: str) -> None:
    """Kill a node and empty its data directory: nothing can be salvaged from it."""
    docker("kill", "-s", "KILL", node)
    image = docker("inspect", "-f", "{{.Config.Image}}", node).strip()
    empty = ["find", PGDATA, "-mindepth", "1", "-delete"]
    docker("run", "--rm", "--network=none", "--volumes-from", node, "--entrypoint", empty[0], image, *empty[1:])
