"""A pair of real nodes whose old primary is made to return: driven by the product's own modules and playbooks.

Import it only where ``RELEVO_TEST_CLUSTER`` and ``RELEVO_TEST_PORT`` are set: ``cluster`` reads them on its import.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cluster

PGDATA, BIN = cluster.PGDATA, f"/usr/lib/postgresql/{cluster.VERSION}/bin"
REJOIN_MARKER = "/var/lib/postgresql/relevo/rejoin.json"
PAGE = 8192
MIB = 1 << 20
#: pgbench's scale for 1 GB of tables and indexes at a fill factor of 90.
SCALE_OF_A_GB = 60
#: With these, what lies in pg_wal is what wal_keep_size keeps and little more.
LOW_WAL = {"max_wal_size": "128MB", "min_wal_size": "32MB"}


def sql(node: str, statement: str, dbname: str = "postgres") -> str:
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-c", statement]
    return cluster.shell(node, *command, user="postgres").strip()


def number(node: str, statement: str, dbname: str = "postgres") -> int:
    return int(sql(node, statement, dbname))


@dataclass
class Pair:
    """The two nodes by their roles, which change with every return: who was away then follows."""

    source: str = cluster.STANDBY
    returning: str = cluster.PRIMARY
    gigabytes: int = 0
    round: int = 0

    # --- set up ---------------------------------------------------------------------------------------------------

    def make(self) -> None:
        self.remove()
        cluster.play("site.yml")
        self.source, self.returning, self.gigabytes = cluster.STANDBY, cluster.PRIMARY, 0

    def remove(self) -> None:
        cluster.play("playbooks/down.yml", "-e", "down_data=true")

    def grow(self, gigabytes: int) -> None:
        """Fill databases of 1 GB up to this size, and make a full backup for the delta restore."""
        primary = self.returning
        if not self.gigabytes:
            sql(primary, "CREATE DATABASE bench1")
            # Room in every page: an update then changes that page alone.
            fill = [f"{BIN}/pgbench", "-i", "-q", "-I", "dtGvp", "-F", "90", "-s", str(SCALE_OF_A_GB), "bench1"]
            cluster.shell(primary, *fill, user="postgres")
            self.gigabytes = 1
        while self.gigabytes < gigabytes:
            self.gigabytes += 1
            # As files, on the standby too: neither WAL nor the archive carries the contents.
            sql(primary, f"CREATE DATABASE bench{self.gigabytes} TEMPLATE bench1 STRATEGY FILE_COPY")
        self.settle()
        cluster.play("backup.yml", "-e", "day=1")

    def size(self) -> int:
        return number(self.source, "SELECT sum(pg_database_size(oid)) FROM pg_database")

    # --- state ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until the standby has replayed all and the archive has every segment that is complete."""
        primary, standby = self.returning, self.source
        end = sql(primary, "SELECT pg_current_wal_flush_lsn()")
        cluster.wait_until(
            lambda: sql(standby, f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t",
            f"{standby} to replay all of {primary}",
            300,
        )
        waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        cluster.wait_until(lambda: number(primary, waiting) == 0, f"{primary} to archive its segments", 300)

    def keep_wal(self, megabytes: int | None) -> None:
        """Have this much WAL in both nodes' pg_wal; None: as the collection installs it, after a busy time."""
        wanted = {**LOW_WAL, "wal_keep_size": f"{megabytes}MB"} if megabytes is not None else {}
        for node in (self.returning, self.source):
            for name in (*LOW_WAL, "wal_keep_size"):
                value = f"SET {name} = '{wanted[name]}'" if name in wanted else f"RESET {name}"
                sql(node, f"ALTER SYSTEM {value}")
            sql(node, "SELECT pg_reload_conf()")
        missing = (megabytes if megabytes is not None else 1024) - self.wal_size(self.source) // MIB
        for _ in range(0, max(missing, 0), 64):
            sql(
                self.returning,
                "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1048576)) FROM generate_series(1, 64)",
            )
        self.checkpoint()
        self.settle()

    def checkpoint(self) -> None:
        """On both, so that each removes the WAL that nothing keeps; a standby's is one to restart from."""
        sql(self.returning, "CHECKPOINT")
        self.settle()
        sql(self.source, "CHECKPOINT")

    def wal_size(self, node: str) -> int:
        return number(node, "SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()")

    def setting(self, node: str, name: str) -> str:
        return sql(node, f"SHOW {name}")

    # --- parting --------------------------------------------------------------------------------------------------

    def part_cleanly(self) -> None:
        """The old primary ends as it should, and the other takes over with all that it had."""
        cluster.docker("stop", self.returning)
        self.promote()

    def diverge(self) -> None:
        """Both change a hundredth of the pages, each another one, and neither ever sees the other's."""
        self.round += 1
        cluster.docker("network", "disconnect", cluster.NETWORK, self.source)
        self.change_pages(self.returning, offset=2 * self.round)
        cluster.docker("kill", "-s", "KILL", self.returning)
        cluster.docker("network", "connect", cluster.NETWORK, self.source)
        # By hand and not by failover.yml, which would salvage the tail that is to be lost here.
        self.promote()
        self.change_pages(self.source, offset=2 * self.round + 1)
        sql(self.source, "CHECKPOINT")

    def promote(self) -> None:
        assert sql(self.source, "SELECT pg_promote(true, 60)") == "t", f"{self.source} was not promoted within 60 s"
        sql(self.source, "CHECKPOINT")

    def change_pages(self, node: str, offset: int) -> None:
        """Update one row in each hundredth page, of every database."""
        for index in range(1, self.gigabytes + 1):
            database = f"bench{index}"
            rows_per_page = number(
                node,
                "SELECT (reltuples / relpages)::int FROM pg_class WHERE relname = 'pgbench_accounts'",
                database,
            )
            sql(
                node,
                f"UPDATE pgbench_accounts SET abalance = {self.round} WHERE aid = ANY (ARRAY(SELECT generate_series("
                f"{1 + offset * rows_per_page}, {SCALE_OF_A_GB * 100_000}, {100 * rows_per_page})))",
                database,
            )

    def leave_only(self, method: str) -> None:
        """Bring the node into a state in which this is the cheapest method: the playbook chooses by itself."""
        self.start_container()
        if method == "basebackup":
            # As a lost disk does.
            cluster.shell(self.returning, "rm", "-rf", PGDATA)
        else:
            # As a restore does that is killed while it copies: nothing may build on that data.
            marker = {"node": self.returning, "by": "benchmark", "at": "2000-01-01T00:00:00+00:00", "reason": method}
            cluster.shell(self.returning, "tee", REJOIN_MARKER, user="postgres", stdin=json.dumps(marker))
        cluster.docker("stop", self.returning)

    # --- return ---------------------------------------------------------------------------------------------------

    def start_container(self) -> None:
        """The start guard then keeps PostgreSQL down in it."""
        cluster.docker("start", self.returning)
        cluster.wait_until(
            lambda: cluster.guard_says(self.returning)["verdict"] == "refuse",
            f"the start guard of {self.returning} to refuse",
            60,
        )

    def rejoin(self, method: str) -> dict[str, Any]:
        """The module by itself; returns its result."""
        arguments = {
            "node": self.returning,
            "primary": {"name": self.source, "host": self.source, "port": 5432},
            "service_manager": "runit",
            "method": method,
        }
        program = str(Path(cluster.command_line("")[0]).with_name("ansible"))
        command = [program, "-i", str(cluster.INVENTORY), self.returning, "--one-line"]
        done = subprocess.run(
            [*command, "-m", "relevo.postgres.pg_rejoin", "-a", json.dumps(arguments)],
            cwd=cluster.ROOT,
            env=cluster.controller_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, f"pg_rejoin on {self.returning}: {done.stdout}{done.stderr}"
        result: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
        return result

    def rejoin_by_playbook(self, method: str) -> float:
        """All of ``rejoin.yml``, the start of the container included; returns its seconds."""
        done = cluster.play("playbooks/rejoin.yml")
        said = f"{self.returning} follows it ({method})"
        assert said in done.text, f"rejoin.yml does not say that {said}: {done.text[-2000:]}"
        return round(done.seconds, 2)

    def swap(self) -> None:
        """Who returned is the standby now, and the next to be promoted. It must hold what the primary holds."""
        self.source, self.returning = self.returning, self.source
        self.settle()
        for index in range(1, self.gigabytes + 1):
            held = [self.changed_rows(node, f"bench{index}") for node in (self.returning, self.source)]
            assert held[0] == held[1], f"{self.source} differs from {self.returning} in bench{index} after its return"

    def changed_rows(self, node: str, database: str) -> str:
        return sql(node, "SELECT count(*), sum(aid * abalance) FROM pgbench_accounts WHERE abalance <> 0", database)
