"""The collection's own roles: what is missing is made, and what is there is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server import internal_roles
from ansible_collections.relevo.postgres.plugins.module_utils._server.internal_roles import (
    INTERNAL_ROLES,
    databases,
    missing_functions,
    missing_roles,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import make_verifier
from ansible_collections.relevo.postgres.plugins.modules.pg_internal_roles import execute

PASSWORDS = {role.name: f"secret of {role.name}" for role in INTERNAL_ROLES}


class Server:
    """Answers as a server does in which all is made, or nothing."""

    def __init__(self, made: bool, passwords: dict[str, str] = PASSWORDS, version: int = 17) -> None:
        self.made = made
        self.version = version
        self.passwords = passwords

    def query(self, _sql: str, parameters: tuple[str, ...]) -> list[dict[str, Any]]:
        (name,) = parameters
        role = next(role for role in INTERNAL_ROLES if role.name == name)
        verifier = make_verifier(self.passwords[name]) if role.password else None
        return [{"rolreplication": "t" if role.replication else "f", "rolpassword": verifier}] if self.made else []

    def value(self, _sql: str, parameters: tuple[str, ...]) -> str | None:
        return "t" if self.made or parameters == ("pg_use_reserved_connections",) else None

    def flag(self, sql: str, _parameters: tuple[str, ...]) -> bool:
        if "pg_roles" in sql:
            return self.version >= 16
        if "pg_settings" in sql:
            return self.version >= 17
        # Whether the public may connect to our database; everything else is a right that we want.
        return self.made and "datacl IS NULL" not in sql


def missing(server: Server, passwords: dict[str, str] = PASSWORDS) -> list[str]:
    return missing_roles(server, passwords)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick_verifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal_roles, "make_verifier", lambda password: f"SCRAM of {len(password)}")


def test_nothing_is_done_where_all_is_made() -> None:
    assert missing(Server(made=True)) == []
    assert missing_functions(Server(made=True), "postgres") == []  # type: ignore[arg-type]


def test_every_role_is_made_without_more_than_it_needs() -> None:
    statements = missing(Server(made=False))
    made = {statement.split()[2]: statement for statement in statements if statement.startswith("CREATE ROLE")}
    assert set(made) == set(PASSWORDS)
    assert all("NOSUPERUSER" in statement for statement in made.values())
    assert {name for name, statement in made.items() if " REPLICATION" in statement} == {
        _names.REPLICATION_ROLE,
        _names.HANDOVER_ROLE,
    }


def test_who_looks_after_a_server_gets_in_when_its_connections_are_used_up() -> None:
    """But for the role of the replication, which max_wal_senders counts."""
    granted = {text.split()[-1] for text in missing(Server(made=False)) if "pg_use_reserved_connections" in text}
    assert granted == {_names.MONITOR_ROLE, _names.HANDOVER_ROLE, _names.REWIND_ROLE, _names.CHECK_ROLE}


@pytest.mark.parametrize("made", [False, True])
def test_nothing_is_granted_that_the_server_has_not(made: bool) -> None:
    assert not [text for text in missing(Server(made, version=15)) if "pg_use_reserved_connections" in text]


def test_the_role_of_the_checks_has_no_password() -> None:
    [made] = [text for text in missing(Server(made=False)) if text.startswith(f"CREATE ROLE {_names.CHECK_ROLE} ")]
    assert made == f"CREATE ROLE {_names.CHECK_ROLE} LOGIN NOREPLICATION NOSUPERUSER PASSWORD NULL"


@pytest.mark.parametrize("version", [16, 17])
def test_no_trigger_at_login_refuses_a_role_of_ours(version: int) -> None:
    """Seen: one that writes, and a standby that could not read the primary's history any more."""
    found = [text for text in missing(Server(made=False, version=version)) if "event_triggers" in text]
    roles = [_names.REWIND_ROLE, _names.CHECK_ROLE] if version >= 17 else []
    assert found == [f"ALTER ROLE {role} SET event_triggers = off" for role in roles]
    # After the role is made, of course.
    statements = missing(Server(made=False, version=version))
    assert all(
        statements.index(text)
        > statements.index(next(one for one in statements if one.startswith(f"CREATE ROLE {role} ")))
        for text, role in zip(found, roles, strict=True)
    )


def test_no_password_is_sent() -> None:
    assert not [statement for statement in missing(Server(made=False)) if "secret" in statement]


def test_nobody_else_may_connect_to_the_database_of_the_lock() -> None:
    statements = missing(Server(made=False))
    revoked = statements.index("REVOKE ALL ON DATABASE relevo FROM PUBLIC")
    assert statements[revoked - 1] == "CREATE DATABASE relevo TEMPLATE template0"
    assert statements[revoked + 1 :] == [
        f"GRANT CONNECT ON DATABASE relevo TO {role}"
        # The last one for the synchronisation of failover slots.
        for role in (_names.MONITOR_ROLE, _names.HANDOVER_ROLE, _names.REPLICATION_ROLE)
    ]


def test_only_a_password_that_changed_is_set() -> None:
    changed = PASSWORDS | {_names.MONITOR_ROLE: "another"}
    (statement,) = missing(Server(made=True), changed)
    assert statement.startswith(f"ALTER ROLE {_names.MONITOR_ROLE} LOGIN NOREPLICATION NOSUPERUSER PASSWORD")


def test_rights_on_functions_belong_to_the_database_in_which_they_are_called() -> None:
    assert databases() == ["postgres", "relevo"]
    in_postgres = missing_functions(Server(made=False), "postgres")  # type: ignore[arg-type]
    assert in_postgres
    assert all(statement.endswith(f"TO {_names.REWIND_ROLE}") for statement in in_postgres)
    in_ours = missing_functions(Server(made=False), _names.OWN_DATABASE)  # type: ignore[arg-type]
    assert [statement for statement in in_ours if "pg_promote" in statement]


class Recorder:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, sql: str) -> None:
        self.asked.append(sql)


@pytest.mark.parametrize(
    ("needed", "asked"),
    [
        ([], []),
        (["ALTER ROLE a", "ALTER ROLE b"], ["BEGIN", "ALTER ROLE a", "ALTER ROLE b", "COMMIT"]),
        (["CREATE DATABASE d"], ["CREATE DATABASE d"]),
        (
            ["CREATE ROLE a", "CREATE DATABASE d", "REVOKE"],
            ["BEGIN", "CREATE ROLE a", "COMMIT", "CREATE DATABASE d", "REVOKE"],
        ),
    ],
)
def test_all_passwords_are_set_or_none(needed: list[str], asked: list[str]) -> None:
    session = Recorder()
    assert execute(session, needed, False) == needed  # type: ignore[arg-type]
    assert session.asked == asked
    assert execute(session, needed, True) == needed  # type: ignore[arg-type]
    assert session.asked == asked
