"""The cluster of inventory.yml, and how its servers, its repository, its Redis and the engine are asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from cluster import ROOT, Play, docker, play, shell

INVENTORY = ROOT / "tests" / "variables" / "inventory.yml"
VALUES: dict[str, Any] = yaml.safe_load(INVENTORY.read_text())["all"]["vars"]
CLUSTER = VALUES["node_cluster"]
PRIMARY, STANDBY, REPOSITORY, REDIS = (f"relevo_vars_{name}" for name in ("a", "b", "repository", "redis"))
CONFIG = "/etc/pgbackrest/pgbackrest.conf"


def ran(name: str, *arguments: str, expect: int | None = 0) -> Play:
    """Run a playbook on this cluster, and show what does not succeed."""
    return play(name, *arguments, inventory=INVENTORY, expect=expect)


def given(**variables: Any) -> tuple[str, str]:
    """Variables for a playbook, as ``-e`` takes them."""
    return "-e", json.dumps(variables)


def sql(statement: str, node: str = PRIMARY, dbname: str = "postgres") -> str:
    port = str(VALUES["postgresql_port"])
    return shell(node, "psql", "-p", port, "-d", dbname, "-XAtc", statement, user="postgres").strip()


def parameter(name: str, node: str = PRIMARY) -> str:
    """A server parameter, as the server shows it."""
    return sql(f"SHOW {name}", node)


def option(name: str, node: str = REPOSITORY) -> str:
    """An option in pgBackRest's own configuration; empty when it is not there."""
    lines = shell(node, "cat", CONFIG).splitlines()
    return " ".join(line.partition("=")[2] for line in lines if line.partition("=")[0] == name)


def redis(*words: str, db: int = 0) -> str:
    """Ask Redis as itself, with the password that it was given."""
    password = str(VALUES["catalog_redis_password"])
    command = ["redis-cli", "-p", str(VALUES["redis_port"]), "-n", str(db), "--no-auth-warning", *words]
    return shell(REDIS, "env", f"REDISCLI_AUTH={password}", *command).strip()


def secrets() -> Path:
    return Path(VALUES["relevo_secrets_dir"].replace("{{ inventory_dir }}", str(INVENTORY.parent)))


def inspected(node: str, path: str) -> str:
    """A part of what the engine says of a container."""
    return docker("inspect", "-f", f"{{{{json {path}}}}}", node).strip()


def backups() -> list[dict[str, Any]]:
    """The repository's backups, oldest first, as pgBackRest lists them."""
    said = shell(REPOSITORY, "pgbackrest", f"--stanza={CLUSTER}", "--output=json", "info", user="postgres")
    listed: list[dict[str, Any]] = json.loads(said)[0]["backup"]
    return listed


def log_of(command: str) -> str:
    """The last command line of this kind in pgBackRest's log on the repository host."""
    text = shell(REPOSITORY, "sh", "-c", f"cat /var/log/pgbackrest/{CLUSTER}-{command}.log", user="postgres")
    return [line for line in text.splitlines() if f"{command} command begin" in line][-1]
