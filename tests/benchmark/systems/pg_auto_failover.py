"""pg_auto_failover 2.2 with its monitor."""

from __future__ import annotations

import json

from systems.base import System, in_node, wait_until
from systems.containers import start, write
from systems.images import rival_image
from systems.rival import BIN, HBA, PGDATA, Rival, accepts

CREATED = "/var/lib/postgresql/created"
#: Its documentation, "Configuring pg_auto_failover", names these as what decides when and how fast the secondary is
#: promoted, and leaves the trade-off to the user; in milliseconds. Defaults: 5000, 5000, 2, 2000, 20000, 30000, 10000.
TUNED = {
    "health_check_period": "1000",
    "health_check_timeout": "1000",
    "health_check_max_retries": "1",
    "health_check_retry_delay": "500",
    "node_considered_unhealthy_timeout": "5000",
    "primary_demote_timeout": "5000",
    "startup_grace_period": "5000",
}
#: Seconds, of a node. A primary that is cut off must have stopped itself before the other is promoted, so this has to
#: stay below primary_demote_timeout. Default: 20.
TUNED_PARTITION_TIMEOUT = "4"


def systems() -> list[System]:
    return [PgAutoFailover("defaults"), PgAutoFailover("tuned")]


class PgAutoFailover(Rival):
    """With two nodes it replicates synchronously by default, and lets go of that when the standby is away."""

    name = "pg_auto_failover"
    automatic = True

    def __init__(self, variant: str) -> None:
        super().__init__(variant)
        self.monitor = f"{self.stem}_monitor"
        self.helpers = [self.monitor]

    def _create(self) -> None:
        start(self.monitor, rival_image(self.name))
        options = ["--pgdata", PGDATA, "--no-ssl"]
        in_node(
            self.monitor, "pg_autoctl", "create", "monitor", *options, "--auth", "trust", "--hostname", self.monitor
        )
        if self.tuned:
            lines = "".join(f"pgautofailover.{name} = {value}\n" for name, value in TUNED.items())
            in_node(self.monitor, "sh", "-c", f"cat >> {PGDATA}/postgresql.conf", stdin=lines)
        self._serve(self.monitor)
        wait_until(lambda: accepts(self.monitor), f"the monitor {self.monitor}", 60)
        first = self.nodes[0]
        # It makes no checksums by itself; it takes a server that is there, and clones the second from it.
        in_node(first, f"{BIN}/initdb", "-k", "-D", PGDATA, "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust")
        in_node(first, "sh", "-c", f"cat >> {PGDATA}/postgresql.conf", stdin=self._postgresql_conf())
        write(first, f"{PGDATA}/pg_hba.conf", "\n".join(HBA) + "\n", mode="0600")
        uri = f"postgres://autoctl_node@{self.monitor}:5432/pg_auto_failover"
        for node in self.nodes:
            in_node(node, "pg_autoctl", "create", "postgres", *options, "--skip-pg-hba", "--username", "postgres",
                    "--dbname", "postgres", "--hostname", node, "--name", node, "--monitor", uri)  # fmt: skip
            if self.tuned:
                setting = ["timeout.network_partition_timeout", TUNED_PARTITION_TIMEOUT]
                in_node(node, "pg_autoctl", "config", "set", "--pgdata", PGDATA, *setting)
            self._serve(node)
            if node == first:
                # It says "single" before its server is up.
                wait_until(lambda: accepts(first), f"pg_auto_failover to have started {first}", 120)
                wait_until(lambda: self._states().get(first) == "single", f"the monitor to know {first}", 60)
                self._create_clients_database(first)

    def _serve(self, container: str) -> None:
        """Let the service start, which waits until there is something to run."""
        write(container, CREATED, "")

    def _states(self) -> dict[str, str]:
        """Every node and its state, where it has reached the one that the monitor wants of it."""
        said = in_node(self.monitor, "pg_autoctl", "show", "state", "--json", "--pgdata", PGDATA)
        return {
            one["nodename"]: one["current_group_state"]
            for one in json.loads(said)
            if one["current_group_state"] == one["assigned_group_state"]
        }

    def _settled(self, primary: str, standby: str) -> bool:
        return self._states() == {primary: "primary", standby: "secondary"}

    def _switch_over(self, old: str, new: str) -> None:
        in_node(self.monitor, "pg_autoctl", "perform", "switchover", "--pgdata", PGDATA)

    def _fail_over(self, new: str) -> None:
        # What `pg_autoctl perform failover` asks of the monitor. The command itself then waits for a state that cannot
        # come before the dead node is back, and fails (measured: after 90 s; with --wait 0 it never ends).
        request = "SELECT pgautofailover.perform_failover('default', 0)"
        in_node(self.monitor, "psql", "-XAtq", "-d", "pg_auto_failover", "-c", request)

    def versions(self) -> dict[str, str]:
        said = in_node(self.monitor, "pg_autoctl", "version")
        return super().versions() | {"pg_auto_failover": said.split()[2]}
