"""A rolling minor upgrade of machines, whose package sources have newer packages, under a client that writes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from clients import Writer, more, takes_writes, wait_until_streaming
from cluster import PRIMARY, REPOSITORY, STANDBY, VERSION, killed_play, missing, play, psql, rows_of, shell, wait_until
from machines import BINARY, MACHINES, back_to_the_start
from packages import offer, version

pytestmark = pytest.mark.long

UPGRADE = "playbooks/upgrade_minor.yml"
GO = ("-e", "confirm=main", "-e", "upgrade_minor_lock_timeout=60")
SERVER = f"postgresql-{VERSION}"
STARTED = "SELECT pg_postmaster_start_time()"


def runs_what_is_there(node: str) -> bool:
    """Whether the running server was started from the program that is on the disk: its own user may ask."""
    script = "readlink /proc/$(pgrep -o -u postgres -x postgres)/exe"
    return shell(node, "sh", "-c", script, user="postgres").strip() == BINARY


@pytest.fixture
def writer() -> Iterator[Writer]:
    with Writer() as found:
        more(found)
        yield found
        more(found)
    assert found.trouble == ""
    primary = PRIMARY if takes_writes(PRIMARY) else STANDBY
    assert missing(rows_of(primary), found.acknowledged) == []
    print(f"{len(found.acknowledged)} rows, the longest pause between two was {found.longest_outage:.2f} s")


def test_the_packages_of_one_machine_after_the_other(writer: Writer) -> None:
    assert play(UPGRADE, *GO).changed == 0
    before = {node: (version(node, SERVER), psql(node, STARTED)) for node in (PRIMARY, STANDBY)}
    offer(SERVER, "newer1", *MACHINES)
    shown = play(UPGRADE, "-e", "plan=text").text
    assert f"gets {SERVER} {before[STANDBY][0]}+newer1 ({before[STANDBY][0]} now), is restarted" in shown
    refused = play(UPGRADE, expect=2)
    assert "Nobody confirmed that main is upgraded." in refused.text
    assert version(STANDBY, SERVER) == before[STANDBY][0]

    done = play(UPGRADE, *GO)
    more(writer)
    assert "Write outage of the hand-over: " in done.text
    for node in (PRIMARY, STANDBY):
        assert version(node, SERVER) == f"{before[node][0]}+newer1"
        assert psql(node, STARTED) > before[node][1]
        assert runs_what_is_there(node)
    assert version(REPOSITORY, SERVER).endswith("+newer1")
    assert takes_writes(STANDBY)
    assert play(UPGRADE, *GO).changed == 0
    assert play("site.yml").changed == 0
    back_to_the_start()


POLICY = "/usr/sbin/policy-rc.d"
#: An extension of the server, as a package of its own, which the server does not look at by itself. dpkg has never
#: heard of it, also where these machines have had this test before.
EXTENSION = f"postgresql-{VERSION}-relevotest{int(time.time())}"
MAKE_EXTENSION = r"""
set -eu
package=$1 version=$2 tree=$(mktemp -d)
mkdir -p "$tree/DEBIAN" "$tree/usr/share/doc/$package"
echo "$version" > "$tree/usr/share/doc/$package/version"
printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n' \
    "$package" "$version" > "$tree/DEBIAN/control"
chmod 0755 "$tree"
# Without md5sums: dpkg --audit complains of that, and nothing was cut off.
dpkg-deb --build --root-owner-group "$tree" "/tmp/$package.deb" > /dev/null
rm -rf "$tree"
"""


def install_extension(node: str, version: str) -> None:
    shell(node, "bash", "-s", "--", EXTENSION, version, stdin=MAKE_EXTENSION)
    shell(node, "dpkg", "--install", f"/tmp/{EXTENSION}.deb")


def test_a_server_that_is_older_than_an_extension_is_restarted(writer: Writer) -> None:
    """As a run leaves it that dies between apt and the restart; and the policy file of one that died within apt."""
    started = {node: psql(node, STARTED) for node in (PRIMARY, STANDBY)}
    for node in (PRIMARY, STANDBY):
        install_extension(node, "1")
    # No server can run what was not there.
    assert EXTENSION not in play(UPGRADE, "-e", "plan=text").text
    for node in (PRIMARY, STANDBY):
        install_extension(node, "2")
    left = "#!/bin/sh\n# Written by relevo.postgres while it installs packages.\nexit 101\n"
    shell(STANDBY, "sh", "-c", f"cat > {POLICY} && chmod 0755 {POLICY}", stdin=left)
    shown = play(UPGRADE, "-e", "plan=text").text
    assert f"since its server is older than {EXTENSION}" in shown
    assert "lets packages restart services again" in shown
    done = play(UPGRADE, *GO).text
    more(writer)
    assert "Write outage of the hand-over: " in done
    assert {node: psql(node, STARTED) > started[node] for node in started} == {PRIMARY: True, STANDBY: True}
    shell(STANDBY, "test", "!", "-e", POLICY)
    assert play(UPGRADE, *GO).changed == 0
    back_to_the_start()
    for node in (PRIMARY, STANDBY):
        shell(node, "dpkg", "--purge", EXTENSION)


def test_a_policy_of_somebody_is_left_as_it_is(writer: Writer) -> None:
    offer("postgresql-common", "newer1", STANDBY)
    theirs = "#!/bin/sh\nexit 101\n"
    shell(STANDBY, "sh", "-c", f"cat > {POLICY} && chmod 0755 {POLICY}", stdin=theirs)
    try:
        play(UPGRADE, *GO)
        assert version(STANDBY, "postgresql-common").endswith("newer1")
        assert shell(STANDBY, "cat", POLICY) == theirs
    finally:
        shell(STANDBY, "rm", "-f", POLICY)
    more(writer)


def test_it_goes_on_where_it_was_killed(writer: Writer) -> None:
    offer(SERVER, "newer2", *MACHINES)
    killed_play(UPGRADE, "Install the newer packages", *GO)
    more(writer)
    # The packages may come all the same: the process on the machine does not know that nobody waits for it.
    killed_play(UPGRADE, "Start the server anew", *GO)
    more(writer)
    assert takes_writes(PRIMARY)
    killed_play(UPGRADE, f"Hand over to {STANDBY}", *GO)
    more(writer)
    killed_play(UPGRADE, "Make the other nodes follow|Install the newer packages", *GO)
    more(writer)
    killed_play(UPGRADE, "Start the server anew|Prove that archiving works", *GO)
    more(writer)
    play(UPGRADE, *GO)
    for node in MACHINES:
        assert version(node, SERVER).endswith("newer2")
    for node in (PRIMARY, STANDBY):
        assert runs_what_is_there(node)
    assert play(UPGRADE, *GO).changed == 0
    back_to_the_start()
    assert play("site.yml").changed == 0


def test_pgbackrest_is_upgraded_on_all_of_them_at_once(writer: Writer) -> None:
    started = {node: psql(node, STARTED) for node in (PRIMARY, STANDBY)}
    was = shell(REPOSITORY, "systemctl", "show", "-p", "MainPID", "--value", "relevo-pgbackrest")
    offer("pgbackrest", "newer1", PRIMARY)
    done = play(UPGRADE, "-e", "plan=text").text
    assert f"{PRIMARY} runs PostgreSQL" in done
    offer("pgbackrest", "newer1", STANDBY, REPOSITORY)
    done = play(UPGRADE, *GO).text
    assert "The newer pgBackRest on all its hosts at once" in done
    assert {version(node, "pgbackrest").rpartition("+")[2] for node in MACHINES} == {"newer1"}
    assert {node: psql(node, STARTED) for node in (PRIMARY, STANDBY)} == started
    assert shell(REPOSITORY, "systemctl", "show", "-p", "MainPID", "--value", "relevo-pgbackrest") != was
    assert play(UPGRADE, *GO).changed == 0
    more(writer)


def test_it_ends_at_a_machine_that_does_not_come_back(writer: Writer) -> None:
    since, at_first = psql(PRIMARY, STARTED), version(PRIMARY, SERVER)
    offer(SERVER, "newer3", *MACHINES)
    broken = "/etc/relevo/conf.d/99-broken.conf"
    shell(STANDBY, "sh", "-c", f"echo \"shared_buffers = 'none'\" > {broken}")
    ended = play(UPGRADE, *GO, "-e", "upgrade_minor_timeout=20", expect=2).text
    more(writer)
    assert f"{STANDBY} did not come back: " in ended
    assert (psql(PRIMARY, STARTED), version(PRIMARY, SERVER)) == (since, at_first)
    shell(STANDBY, "rm", broken)
    play(UPGRADE, *GO)
    assert version(PRIMARY, SERVER).endswith("newer3")
    back_to_the_start()
    wait_until_streaming(PRIMARY)


def test_what_is_held_is_refused() -> None:
    offer(SERVER, "newer4", *MACHINES)
    shell(STANDBY, "apt-mark", "hold", SERVER)
    try:
        said = play(UPGRADE, *GO, expect=2)
        assert f"On {STANDBY} {SERVER} is held as it is. Release it: apt-mark unhold {SERVER}." in said.text
        assert said.changed == 0
    finally:
        shell(STANDBY, "apt-mark", "unhold", SERVER)
    wait_until(lambda: takes_writes(PRIMARY), "the primary", 10)
