"""Secrets of machines are replaced under a client that writes: systemd, sudo, Debian's Redis beside the repository."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clients import Writer, may_log_in, more
from cluster import (
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    killed_play,
    missing,
    nothing_needs_attention,
    play,
    rows_of,
    shell,
)
from machines import MACHINES
from rotation import NEW_PASSWORDS, ROTATE, keys, only_the_new_are_taken, passwords, rotate, trusted

pytestmark = pytest.mark.long

#: By unit, where it runs. None of them is restarted.
UNITS = {"relevo-postgresql": (PRIMARY, STANDBY), "relevo-pgbackrest": tuple(MACHINES), "redis-server": (REPOSITORY,)}
#: Who may read what is written anew.
MODES = {"/etc/relevo/pgpass": "postgres 600", "/etc/relevo/tls/node.key": "postgres 600"}
REDIS_CONFIG = "/etc/redis/redis.conf"


def processes() -> dict[tuple[str, str], str]:
    ask = ("systemctl", "show", "-p", "MainPID", "--value")
    return {(unit, node): shell(node, *ask, unit).strip() for unit, nodes in UNITS.items() for node in nodes}


def mode(node: str, path: str) -> str:
    return shell(node, "stat", "-c", "%U %a", path).strip()


def served(node: str, port: int, *more_arguments: str) -> str:
    """The serial number of the certificate that a process serves, which is verified by the authority in the folder."""
    shell(node, "sh", "-c", "cat > /tmp/ca.crt", stdin=(SECRETS / "tls" / "ca.crt").read_text())
    client = f"openssl s_client -connect localhost:{port} -CAfile /tmp/ca.crt -verify_return_error"
    asked = " ".join([client, *more_arguments])
    return shell(node, "sh", "-c", f"{asked} </dev/null 2>/dev/null | openssl x509 -noout -serial").strip()


def all_served() -> list[str]:
    return [
        *(served(node, 5432, "-starttls", "postgres") for node in (PRIMARY, STANDBY)),
        *(served(node, 8432) for node in MACHINES),
    ]


@pytest.fixture
def writer() -> Iterator[Writer]:
    """No row is lost, no session ends, no service is restarted."""
    before = processes()
    assert "0" not in before.values()
    with Writer() as found:
        more(found)
        yield found
        more(found)
    print(f"{len(found.acknowledged)} rows, the longest pause between two was {found.longest_outage:.2f} s")
    assert (found.trouble, found.last_error) == ("", "")
    assert missing(rows_of(PRIMARY), found.acknowledged) == []
    assert processes() == before


def test_passwords_are_replaced_by_whoever_comes_after_a_kill(writer: Writer) -> None:
    old = passwords()
    killed_play(ROTATE, "Write the node's key pair and passwords", *rotate("passwords"))
    # Our roles have the new ones, and no machine knows them.
    assert not may_log_in(PRIMARY, "relevo_monitor", old["relevo_monitor"])
    assert "Finish it: rotate.yml -e rotate=passwords" in play("site.yml", expect=2).text
    killed_play(ROTATE, "Let Redis accept the new password only", *rotate("passwords"))
    assert NEW_PASSWORDS.exists()
    play(ROTATE, *rotate("passwords"))
    more(writer)
    only_the_new_are_taken(old, REPOSITORY)
    new = passwords()
    assert mode(REPOSITORY, REDIS_CONFIG) == "redis 640"
    assert new["redis"] in shell(REPOSITORY, "cat", REDIS_CONFIG)
    for node in MACHINES:
        assert mode(node, "/etc/relevo/pgpass") == MODES["/etc/relevo/pgpass"]
    # The repository host only looks.
    held = shell(REPOSITORY, "cat", "/etc/relevo/pgpass")
    assert new["relevo_monitor"] in held
    assert new["relevo_rewind"] not in held
    play("backup.yml")
    nothing_needs_attention()
    assert play("site.yml").changed == 0


def test_certificates_and_their_authority_are_replaced(writer: Writer) -> None:
    before, first, authority = keys(*MACHINES), all_served(), (SECRETS / "tls" / "ca.crt").read_text()
    play(ROTATE, *rotate("certificates"))
    second = all_served()
    assert not set(first) & set(second)
    assert (SECRETS / "tls" / "ca.crt").read_text() == authority
    more(writer)
    # All machines have the files of the second pass, and no process has read them.
    killed_play(ROTATE, "Let pgBackRest's TLS server read it: sign", *rotate("authority"))
    assert [trusted(node) for node in MACHINES] == [2] * len(MACHINES)
    play(ROTATE, *rotate("authority"))
    more(writer)
    assert authority not in (SECRETS / "tls" / "ca.crt").read_text()
    assert [trusted(node) for node in MACHINES] == [1] * len(MACHINES)
    assert not list((SECRETS / "tls").glob("next.*"))
    assert not set(second) & set(all_served())
    assert not before & keys(*MACHINES)
    for node in MACHINES:
        assert mode(node, "/etc/relevo/tls/node.key") == MODES["/etc/relevo/tls/node.key"]
    # Over TLS between the repository host and the servers.
    play("backup.yml")
    nothing_needs_attention()
    assert play("site.yml").changed == 0
