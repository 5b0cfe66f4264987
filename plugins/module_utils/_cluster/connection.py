# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an application reaches whichever node of a cluster is primary: the connection strings that name all nodes.

Without a password, which no string that people pass on should hold. Every client tries the nodes in turn until one
accepts writes: libpq and psycopg by ``target_session_attrs``, JDBC by ``targetServerType``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from ansible.module_utils.parsing.convert_bool import boolean

from .inventory import Groups, HostVars, all_serving, cluster_of, entrance_of, peer_of
from .proxy import entrance_of_proxy

Variables = Mapping[str, Any]

#: Seconds for each node. Without it a machine that is switched off holds a client up for as long as its kernel waits.
CONNECT_TIMEOUT = 5

HEADING = "Connect to whichever node is primary (password and a copy of ca.crt apart):"
PROXY_HEADING = "Or to the one address of HAProxy, which finds the primary:"
READ_ONLY_HEADING = "Or to its standbys, to read:"


@dataclass(frozen=True)
class Target:
    """Whom an application connects to, and as whom. ``nodes``: address and port of each. ``user``: empty where the
    inventory names none that may log in over the network; the client then takes its own. ``ca_file``: of the CA."""

    nodes: Sequence[tuple[str, int]]
    user: str
    database: str
    ca_file: str


@dataclass(frozen=True)
class ConnectionStrings:
    """One for each kind of client."""

    libpq: str
    jdbc: str
    psycopg: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def lines(self) -> list[str]:
        return [f"libpq    {self.libpq}", f"JDBC     {self.jdbc}", f"psycopg  {self.psycopg}"]


@dataclass(frozen=True)
class ThroughProxy:
    """The strings that name HAProxy. ``read_only``: None where that port cannot be reached."""

    read_write: ConnectionStrings
    read_only: ConnectionStrings | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "read_write": self.read_write.as_dict(),
            "read_only": self.read_only.as_dict() if self.read_only else None,
        }

    @property
    def lines(self) -> list[str]:
        return [PROXY_HEADING, *(f"  {line}" for line in self.read_write.lines)] + (
            [READ_ONLY_HEADING, *(f"  {line}" for line in self.read_only.lines)] if self.read_only else []
        )


def _bracketed(host: str) -> str:
    """An IPv6 address as URLs want it."""
    return f"[{host}]" if ":" in host else host


def _value(text: str) -> str:
    """A value of libpq's key=value form, quoted where it has to be."""
    if text and not any(character in text for character in " \t'\\"):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def connection_strings(target: Target, anybody: bool = False) -> ConnectionStrings | None:
    """The strings; None where no node can be reached. ``anybody``: whoever answers will do, a standby too."""
    if not target.nodes:
        return None
    places = ",".join(f"{_bracketed(host)}:{port}" for host, port in target.nodes)
    secure = {"sslmode": "verify-full", "sslrootcert": target.ca_file}
    user = {"user": target.user} if target.user else {}
    libpq = {"target_session_attrs": "read-write"} if not anybody else {}
    libpq |= {"connect_timeout": str(CONNECT_TIMEOUT), **secure}
    primary = {"targetServerType": "primary"} if not anybody else {}
    jdbc = {**user, **primary, "connectTimeout": str(CONNECT_TIMEOUT), **secure}
    keywords = {
        "host": ",".join(host for host, _port in target.nodes),
        "port": ",".join(str(port) for _host, port in target.nodes),
        **user,
        "dbname": target.database,
        **libpq,
    }
    login = f"{quote(target.user, safe='')}@" if target.user else ""
    database = quote(target.database, safe="")
    return ConnectionStrings(
        libpq=f"postgresql://{login}{places}/{database}?{urlencode(libpq, safe='/', quote_via=quote)}",
        jdbc=f"jdbc:postgresql://{places}/{database}?{urlencode(jdbc, safe='/', quote_via=quote)}",
        psycopg=" ".join(f"{key}={_value(value)}" for key, value in keywords.items()),
    )


def secrets_directory(variables: Variables, otherwise: str = "") -> str:
    """The folder of a host's secrets on the controller, from its variables: beside the inventory, if none is given.

    ``otherwise``: the folder of a play, which is that of a host without one of its own.
    """
    given = variables.get("relevo_secrets_dir") or otherwise
    return str(given or f"{variables.get('inventory_dir', '.')}/.secrets")


def ca_file(variables: Variables) -> str:
    return f"{secrets_directory(variables)}/tls/ca.crt"


def network_user(variables: Variables) -> Variables | None:
    """The first user of the inventory that may log in over the network; None where there is none."""
    given = variables.get("postgresql_users") or []
    users = [user for user in given if not boolean(user.get("peer_only", False), strict=False)]
    return next((user for user in users if user.get("password_secret") or user.get("password")), None)


def database_of(user: str, databases: Sequence[Variables]) -> str:
    """The database that a user of the applications wants; ``postgres``, which is always there, where there is none."""
    own = [database["name"] for database in databases if database.get("owner") == user]
    return str([*own, *(database["name"] for database in databases), "postgres"][0])


def target_of(hosts: Mapping[str, Variables]) -> Target:
    """The target that the inventory's variables of a cluster's nodes describe.

    From where the controller is, if every node can be reached from there; otherwise from within the nodes' network.
    """
    variables = next(iter(hosts.values()))
    outside = [entrance_of(name, host) for name, host in hosts.items()]
    peers = [peer_of(name, host) for name, host in hosts.items()]
    nodes = [found for found in outside if found]
    if len(nodes) < len(hosts):
        nodes = [(peer.host, peer.port) for peer in peers]
    user = (network_user(variables) or {}).get("name", "")
    return Target(nodes, user, database_of(user, variables.get("postgresql_databases") or []), ca_file(variables))


def through_proxy(hosts: Mapping[str, Variables], groups: Groups, hostvars: HostVars) -> ThroughProxy | None:
    """The strings that name the proxies of a cluster, of whose nodes ``hosts`` are the variables; None without one."""
    node = next(iter(hosts.values()))
    names = all_serving(cluster_of(node), groups.get("haproxy", []), hostvars)
    places = [found for name in names if (found := entrance_of_proxy(name, hostvars[name], node))]
    target = target_of(hosts)
    read_write = connection_strings(replace(target, nodes=[(host, port) for host, port, _reading in places]))
    reading = [(host, port) for host, _port, port in places if port]
    if read_write is None:
        return None
    return ThroughProxy(read_write, connection_strings(replace(target, nodes=reading), anybody=True))
