"""The machine that measured, without its name: what a reader needs to judge the figures."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

from systems.base import docker

KIB = 1024


def describe() -> dict[str, Any]:
    return {
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / KIB / KIB, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "engine": f"Docker {docker('version', '--format', '{{.Server.Version}}').strip()}",
        "storage_driver": docker("info", "--format", "{{.Driver}}").strip(),
        "python": platform.python_version(),
    }


def load() -> list[float]:
    """The load averages of the last 1, 5 and 15 minutes."""
    return [round(one, 2) for one in os.getloadavg()]


def settle(most: float, patience: float = 180) -> list[float]:
    """Wait until the load of the last minute is at most ``most``, since the provisioning itself has raised it.

    Returns the load averages. After ``patience`` seconds they are what they are, and the page says so.
    """
    deadline = time.monotonic() + patience
    while load()[0] > most and time.monotonic() < deadline:
        time.sleep(2)
    return load()


def _field(path: Path, name: str) -> str:
    """The first value of a field in a file of /proc; not every processor has a name."""
    for line in path.read_text().splitlines():
        key, _colon, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
