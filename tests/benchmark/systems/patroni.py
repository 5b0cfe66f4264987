"""Patroni 4 with etcd."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from systems.base import System, in_node, wait_until
from systems.containers import start, write
from systems.images import rival_image
from systems.rival import BIN, HBA, PGDATA, Rival

CONFIGURATION = "/etc/relevo/patroni.yml"
REST = 8008
#: Patroni's own defaults, as in the configuration that Debian's package brings.
DEFAULTS = {"ttl": 30, "loop_wait": 10, "retry_timeout": 10, "maximum_lag_on_failover": 1048576}
#: The shortest that Patroni takes, as its users set them for a quick failover. Its documentation, "Dynamic
#: Configuration Settings", gives the minima: loop_wait 1, ttl 20, retry_timeout 3, and loop_wait + 2 * retry_timeout <=
#: ttl. primary_start_timeout 0: "failover is done immediately after a crash is detected if possible".
TUNED = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "primary_start_timeout": 0, "maximum_lag_on_failover": 1048576}


def systems() -> list[System]:
    return [Patroni("defaults"), Patroni("tuned")]


class Patroni(Rival):
    """Asynchronous, as Patroni is by default; pg_rewind on, as in the configuration that Debian's package brings."""

    name = "patroni"
    automatic = True

    def __init__(self, variant: str) -> None:
        super().__init__(variant)
        self.etcd = f"{self.stem}_etcd"
        self.helpers = [self.etcd]

    def _further_ports(self, node: str) -> dict[int, int]:
        return {REST: self.ports[node] + 2}

    def _create(self) -> None:
        urls = [f"--advertise-client-urls=http://{self.etcd}:2379", "--listen-client-urls=http://0.0.0.0:2379"]
        start(self.etcd, rival_image(self.name), "chpst", "-u", "postgres", "etcd",
              "--data-dir=/var/lib/postgresql/etcd", *urls)  # fmt: skip
        first, second = self.nodes
        # Patroni itself waits for etcd.
        self._configure(first)
        wait_until(lambda: self._roles().get(first) == "leader", f"Patroni to have made the primary {first}", 120)
        self._create_clients_database(first)
        self._configure(second)

    def _configure(self, node: str) -> None:
        """Write the node's configuration, for which its service waits. JSON is YAML."""
        shared = {"use_pg_rewind": True, "use_slots": True, "parameters": self._settings(), "pg_hba": list(HBA)}
        settings = {
            "scope": self.stem,
            "name": node,
            "restapi": {"listen": f"0.0.0.0:{REST}", "connect_address": f"{node}:{REST}"},
            "etcd3": {"host": f"{self.etcd}:2379"},
            "bootstrap": {
                "dcs": {**(TUNED if self.tuned else DEFAULTS), "postgresql": shared},
                "initdb": ["data-checksums", {"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
            },
            "postgresql": {
                "listen": "0.0.0.0:5432",
                "connect_address": f"{node}:5432",
                "data_dir": PGDATA,
                "bin_dir": BIN,
                "use_unix_socket": True,
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "replicator"},
                    "rewind": {"username": "rewinder"},
                },
            },
        }
        write(node, CONFIGURATION, json.dumps(settings, indent=2))

    def _roles(self) -> dict[str, str]:
        """Every member that runs, and its role, as the first of them that answers says; nothing when none does."""
        for port in self.ports.values():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port + 2}/cluster", timeout=5) as answer:
                    members: list[dict[str, Any]] = json.load(answer)["members"]
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                continue
            return {one["name"]: one["role"] for one in members if one["state"] in ("running", "streaming")}
        return {}

    def _settled(self, primary: str, standby: str) -> bool:
        return self._roles() == {primary: "leader", standby: "replica"}

    def _switch_over(self, old: str, new: str) -> None:
        self._ctl(new, "switchover", "--leader", old, "--candidate", new, "--force")

    def _fail_over(self, new: str) -> None:
        self._ctl(new, "failover", "--candidate", new, "--force")

    def _ctl(self, node: str, operation: str, *options: str) -> None:
        in_node(node, "patronictl", "-c", CONFIGURATION, operation, self.stem, *options)

    def versions(self) -> dict[str, str]:
        patroni = in_node(self.etcd, "patroni", "--version").split()[-1]
        etcd = in_node(self.etcd, "etcd", "--version").split()[2]
        return super().versions() | {"Patroni": patroni, "etcd": etcd}
