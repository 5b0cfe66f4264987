# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles and the database that the collection itself needs, each with the least it needs."""

from __future__ import annotations

from dataclasses import dataclass

from .. import _names
from .scram import make_verifier, matches
from .session import Session


@dataclass(frozen=True)
class InternalRole:
    """A login of ours: the database that it connects to, the functions that it may call there, the parameters that it
    may set. Rights on functions belong to one database, since each has a catalog of its own."""

    name: str
    database: str
    replication: bool = False
    member_of: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    #: Without one nobody can log in but with a certificate (pg_hba.conf).
    password: bool = True


#: The connections that are kept back for those who look after a server. One for replication counts against
#: max_wal_senders instead. PostgreSQL 15 has neither them nor the role.
RESERVED = "pg_use_reserved_connections"

#: A trigger at login refuses our roles, too, in a database where somebody makes one. Only a
#: superuser may ask for this at login, and may set it for a role, whose settings are read before the trigger.
NO_TRIGGERS = "event_triggers"

# Sources: PostgreSQL's documentation of pg_rewind ("When executing pg_rewind using an online cluster as source"),
# of predefined roles, and of pg_promote ("can be granted").
INTERNAL_ROLES = (
    InternalRole(_names.REPLICATION_ROLE, _names.OWN_DATABASE, replication=True),
    InternalRole(
        _names.REWIND_ROLE,
        "postgres",
        member_of=(RESERVED,),
        functions=(
            "pg_ls_dir(text, boolean, boolean)",
            "pg_stat_file(text, boolean)",
            "pg_read_binary_file(text)",
            "pg_read_binary_file(text, bigint, bigint, boolean)",
        ),
    ),
    InternalRole(_names.MONITOR_ROLE, _names.OWN_DATABASE, member_of=("pg_monitor", RESERVED)),
    InternalRole(
        _names.HANDOVER_ROLE,
        _names.OWN_DATABASE,
        # REPLICATION, to make the slots of the coming standbys on the candidate.
        replication=True,
        member_of=("pg_monitor", "pg_checkpoint", RESERVED),
        functions=("pg_promote(boolean, integer)", "pg_reload_conf()"),
        # So that the candidate looks for new WAL often while it is about to be promoted, and not before.
        parameters=("wal_retrieve_retry_interval",),
    ),
    # Whether a proxy is there or not: a role that nobody can log in as costs nothing, and a restore brings it back.
    InternalRole(_names.CHECK_ROLE, "postgres", member_of=(RESERVED,), password=False),
)


def missing_roles(session: Session, passwords: dict[str, str]) -> list[str]:
    """The statements that make roles and database; ``session`` is a superuser's, in the database postgres."""
    needed = []
    for role in INTERNAL_ROLES:
        needed += _role_statements(session, role, passwords[role.name] if role.password else None)
    return needed + _database_statements(session)


def missing_functions(session: Session, database: str) -> list[str]:
    """The rights on functions that are missing in ``database``, to which ``session`` is connected."""
    return [
        f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {role.name}"
        for role in INTERNAL_ROLES
        if role.database == database
        for function in role.functions
        if not session.flag("SELECT has_function_privilege($1, $2, 'EXECUTE')", (role.name, f"pg_catalog.{function}"))
    ]


def databases() -> list[str]:
    """The databases in which our roles need rights on functions."""
    return sorted({role.database for role in INTERNAL_ROLES if role.functions})


def _role_statements(session: Session, role: InternalRole, password: str | None) -> list[str]:
    found = session.query("SELECT rolreplication, rolpassword FROM pg_authid WHERE rolname = $1", (role.name,))
    attributes = f"LOGIN {'REPLICATION' if role.replication else 'NOREPLICATION'} NOSUPERUSER"
    exists = bool(found)
    needed = []
    if not exists:
        needed.append(f"CREATE ROLE {role.name} {attributes} PASSWORD {_verifier(password)}")
    elif (found[0]["rolreplication"] == "t") != role.replication or not _has(password, found[0]["rolpassword"]):
        needed.append(f"ALTER ROLE {role.name} {attributes} PASSWORD {_verifier(password)}")
    for parent in role.member_of:
        if parent == RESERVED and not session.flag("SELECT true FROM pg_roles WHERE rolname = $1", (RESERVED,)):
            continue
        if not exists or not session.flag("SELECT pg_has_role($1, $2, 'MEMBER')", (role.name, parent)):
            needed.append(f"GRANT {parent} TO {role.name}")
    for parameter in role.parameters:
        if not exists or not session.flag(
            "SELECT has_parameter_privilege($1, $2, 'ALTER SYSTEM')", (role.name, parameter)
        ):
            needed.append(f"GRANT ALTER SYSTEM ON PARAMETER {parameter} TO {role.name}")
    # In our own database nobody makes triggers: no application may connect to it.
    if role.database != _names.OWN_DATABASE and _lacks_setting(session, role.name):
        needed.append(f"ALTER ROLE {role.name} SET {NO_TRIGGERS} = off")
    return needed


def _lacks_setting(session: Session, role: str) -> bool:
    return session.flag("SELECT EXISTS (SELECT FROM pg_settings WHERE name = $1)", (NO_TRIGGERS,)) and not session.flag(
        "SELECT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_authid r ON r.oid = s.setrole"
        " WHERE r.rolname = $1 AND s.setdatabase = 0 AND $2 = ANY (s.setconfig))",
        (role, f"{NO_TRIGGERS}=off"),
    )


def _verifier(password: str | None) -> str:
    """What a password is set to, in SQL."""
    return "NULL" if password is None else f"'{make_verifier(password)}'"


def _has(password: str | None, verifier: str | None) -> bool:
    """Whether that is the role's password; None: it has none."""
    return not verifier if password is None else matches(password, verifier)


def _database_statements(session: Session) -> list[str]:
    """The database in which a hand-over takes its lock: any login that may connect could block one."""
    # A standby asks for the primary's failover slots as the role that it streams with.
    name, roles = _names.OWN_DATABASE, (_names.MONITOR_ROLE, _names.HANDOVER_ROLE, _names.REPLICATION_ROLE)
    exists = session.value("SELECT true FROM pg_database WHERE datname = $1", (name,))
    needed = []
    if not exists:
        # template1 is somebody's: it may have triggers, and cannot be copied while anybody uses it.
        needed.append(f"CREATE DATABASE {name} TEMPLATE template0")
    if not exists or session.flag(
        "SELECT datacl IS NULL OR EXISTS (SELECT FROM aclexplode(datacl) WHERE grantee = 0)"
        " FROM pg_database WHERE datname = $1",
        (name,),
    ):
        needed.append(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    needed += [
        f"GRANT CONNECT ON DATABASE {name} TO {role}"
        for role in roles
        if not exists or not _may_connect(session, role, name)
    ]
    return needed


def _may_connect(session: Session, role: str, database: str) -> bool:
    return bool(session.value("SELECT true FROM pg_roles WHERE rolname = $1", (role,))) and session.flag(
        "SELECT EXISTS (SELECT FROM pg_database, aclexplode(datacl) a JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE datname = $1 AND rolname = $2 AND privilege_type = 'CONNECT')",
        (database, role),
    )
