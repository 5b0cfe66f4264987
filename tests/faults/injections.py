"""The faults, each with what an operator would do about it and nothing more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import scene as scenes
from cluster import PGDATA, VERSION, docker, shell
from scene import Scene

BACKUPS = "/var/lib/pgbackrest/backup/main"
ARCHIVE = f"/var/lib/pgbackrest/archive/main/{VERSION}-1"
MARKERS = "/var/lib/postgresql/relevo"
# File systems of 256 and 64 MB that every container has. PostgreSQL itself needs the first one.
SHARED_MEMORY, DEVICES = "/dev/shm", "/dev"


def kill_server(scene: Scene, node: str) -> None:
    """Its service manager starts it again: nothing to undo."""
    shell(node, "sh", "-c", f"kill -KILL $(head -1 {PGDATA}/postmaster.pid)")


def kill(scene: Scene, node: str) -> None:
    docker("kill", node)
    scene.undo.callback(scenes.start, node)


def stop(scene: Scene, node: str) -> None:
    docker("stop", node)
    scene.undo.callback(scenes.start, node)


def pause(scene: Scene, node: str) -> None:
    docker("pause", node)
    scene.undo.callback(scenes.unpause, node)


def start(scene: Scene, node: str) -> None:
    """Somebody starts the dead node in the middle of it."""
    docker("start", node)


def fill(directory: str, small: str) -> Callable[[Scene, str], None]:
    """No room is left where a directory lies: it is moved to a small file system of the container's own, and that is
    filled. The disk of this machine is never filled."""
    moved, filler = f"{small}/moved", f"{small}/filler"

    def inject(scene: Scene, node: str) -> None:
        shell(node, "sh", "-ec", f"cp -a {directory} {moved} && rm -r {directory} && ln -s {moved} {directory}")

        def move_back() -> None:
            shell(node, "sh", "-ec", f"rm -f {filler}; rm {directory}; cp -a {moved} {directory}; rm -r {moved}")

        scene.undo.callback(move_back)
        full = ["docker", "exec", node, "dd", "if=/dev/zero", f"of={filler}", "bs=4k", "status=none"]
        # It ends because nothing more fits.
        assert subprocess.run(full, check=False, stderr=subprocess.DEVNULL, timeout=60).returncode == 1

    return inject


FAULTS: dict[str, Callable[[Scene, str], None]] = {
    "server killed": kill_server,
    "killed": kill,
    "stopped": stop,
    "paused": pause,
    "cut off": scenes.cut,
    "started": start,
    "disk full (backups)": fill(BACKUPS, SHARED_MEMORY),
    "disk full (archive)": fill(ARCHIVE, SHARED_MEMORY),
    "disk full (markers)": fill(MARKERS, DEVICES),
}
