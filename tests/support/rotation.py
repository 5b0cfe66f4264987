"""What tests of rotate.yml look at, in containers and on machines."""

from __future__ import annotations

from clients import may_log_in, redis_says
from cluster import PORTS, REDIS, SECRETS, shell

ROTATE = "playbooks/rotate.yml"
ROLES = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover")
NEW_PASSWORDS = SECRETS / "new_passwords.json"


def rotate(kind: str) -> tuple[str, ...]:
    return "-e", f"rotate={kind}", "-e", "confirm=main"


def passwords() -> dict[str, str]:
    return {name: (SECRETS / name).read_text().strip() for name in (*ROLES, "redis")}


def only_the_new_are_taken(old: dict[str, str], redis: str = REDIS) -> None:
    """By every server and by the Redis of the host ``redis``; nobody has anything left to do."""
    new = passwords()
    for role in ROLES:
        assert new[role] != old[role]
        for node in PORTS:
            assert may_log_in(node, role, new[role]), f"{role} at {node}"
            assert not may_log_in(node, role, old[role]), f"{role} at {node}"
    assert redis_says(new["redis"], redis) == "PONG"
    assert "PONG" not in redis_says(old["redis"], redis)
    assert not NEW_PASSWORDS.exists()
    for name in new:
        assert (SECRETS / name).stat().st_mode & 0o777 == 0o600


def trusted(node: str) -> int:
    """How many authorities a node trusts."""
    return shell(node, "cat", "/etc/relevo/tls/ca.crt").count("BEGIN CERTIFICATE")


def keys(*nodes: str) -> set[str]:
    return {shell(node, "sha256sum", "/etc/relevo/tls/node.key").split()[0] for node in nodes}
