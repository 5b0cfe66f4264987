"""repmgr 5.5, without its daemon: as installed, every hand-over is an operator's command."""

from __future__ import annotations

from systems.base import System, in_node
from systems.containers import write
from systems.rival import BIN, HBA, PGDATA, Rival, accepts

CONFIGURATION = "/etc/repmgr.conf"
SSH = "/var/lib/postgresql/.ssh"
START_LOG = "/var/lib/postgresql/start.log"
#: Every wait of a hand-over that repmgr lets its users shorten (its documentation, "repmgr standby switchover", and
#: repmgr.conf.sample): they are upper limits of polls once a second, and 1 is the smallest interval.
TUNED = {
    "shutdown_check_timeout": "30",
    "wal_receive_check_timeout": "10",
    "promote_check_timeout": "30",
    "promote_check_interval": "1",
    "standby_reconnect_timeout": "30",
    "node_rejoin_timeout": "20",
    "reconnect_attempts": "3",
    "reconnect_interval": "1",
}


def systems() -> list[System]:
    return [Repmgr("defaults"), Repmgr("tuned")]


class Repmgr(Rival):
    """PostgreSQL is no service of the containers: repmgr starts and stops it by pg_ctl, on the other node by SSH."""

    name = "repmgr"
    automatic = False

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), "shared_preload_libraries": "repmgr"}

    def _create(self) -> None:
        first, second = self.nodes
        self._let_in()
        for node in self.nodes:
            self._configure(node)
        in_node(first, f"{BIN}/initdb", "-k", "-D", PGDATA, "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust")
        write(first, f"{PGDATA}/pg_hba.conf", "\n".join(HBA) + "\n", mode="0600")
        append = f"cat >> {PGDATA}/postgresql.conf"
        in_node(first, "sh", "-c", append, stdin=self._postgresql_conf())
        self._start(first)
        self._create_clients_database(first)
        for sql in ("CREATE ROLE repmgr SUPERUSER LOGIN", "CREATE DATABASE repmgr OWNER repmgr"):
            in_node(first, "psql", "-XAtq", "-d", "postgres", "-c", sql)
        self._repmgr(first, "primary", "register")
        self._repmgr(second, *f"-h {first} -U repmgr -d repmgr standby clone --fast-checkpoint".split())
        self._start(second)
        self._repmgr(second, "standby", "register")

    def _let_in(self) -> None:
        """One key for both nodes, each of which lets it in."""
        first = self.nodes[0]
        key = f"{SSH}/id_ed25519"
        in_node(first, "install", "-d", "-m", "0700", SSH)
        in_node(first, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        private, public = in_node(first, "cat", key), in_node(first, "cat", f"{key}.pub")
        for node in self.nodes:
            in_node(node, "install", "-d", "-m", "0700", SSH)
            write(node, key, private, mode="0600")
            write(node, f"{SSH}/authorized_keys", public, mode="0600")
            write(node, f"{SSH}/config", "StrictHostKeyChecking accept-new\n", mode="0600")

    def _configure(self, node: str) -> None:
        settings = {
            "node_id": str(self.nodes.index(node) + 1),
            "node_name": node,
            "conninfo": f"host={node} user=repmgr dbname=repmgr connect_timeout=2",
            "data_directory": PGDATA,
            "pg_bindir": BIN,
            # Without a log of its own, the server would hold the SSH session that started it.
            "pg_ctl_options": f"-l {START_LOG}",
            **(TUNED if self.tuned else {}),
        }
        write(node, CONFIGURATION, "".join(f"{name}='{value}'\n" for name, value in settings.items()))

    def _start(self, node: str) -> None:
        in_node(node, f"{BIN}/pg_ctl", "-D", PGDATA, "-w", "-t", "60", "-l", START_LOG, "start")

    def _repmgr(self, node: str, *arguments: str) -> None:
        in_node(node, f"{BIN}/repmgr", "-f", CONFIGURATION, *arguments)

    def _settled(self, primary: str, standby: str) -> bool:
        """What repmgr's table says of the two: it is written after the server has been promoted."""
        said = in_node(
            primary, "psql", "-XAt", "-d", "repmgr", "-c", "SELECT node_name, type FROM repmgr.nodes WHERE active"
        )
        return set(said.split()) == {f"{primary}|primary", f"{standby}|standby"}

    def _switch_over(self, old: str, new: str) -> None:
        self._repmgr(new, "standby", "switchover")

    def _fail_over(self, new: str) -> None:
        self._repmgr(new, "standby", "promote")

    def _rejoin(self, node: str, primary: str) -> None:
        if accepts(node):
            return
        target = f"host={primary} user=repmgr dbname=repmgr"
        self._repmgr(node, "node", "rejoin", "-d", target, "--force-rewind")

    def versions(self) -> dict[str, str]:
        said = in_node(self.nodes[0], f"{BIN}/repmgr", "--version")
        return super().versions() | {"repmgr": said.split()[-1]}
