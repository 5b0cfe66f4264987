"""A standby that is a machine leaves its cluster and comes back: answering, paused, cleared, and with its controller
killed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from clients import Writer, more, role_inside, wait_until_streaming
from cluster import (
    INVENTORY,
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    VERSION,
    Play,
    docker,
    guard_says,
    killed_play,
    missing,
    play,
    psql,
    rows_of,
    shell,
    wait_until,
)
from machines import UNIT, reboot, unit_state

pytestmark = pytest.mark.long

ADD, REMOVE = "playbooks/add_node.yml", "playbooks/remove_node.yml"
DATA = f"/var/lib/postgresql/{VERSION}/main"
REPOSITORY_CONF = "/etc/pgbackrest/pgbackrest.conf"
STARTED = "SELECT pg_postmaster_start_time()"
# It is the only one of these machines.
GO = ("confirm=" + STANDBY, "last_standby=true")


def named(*arguments: str) -> list[str]:
    return [part for one in (f"node={STANDBY}", *arguments) for part in ("-e", one)]


def node(playbook: str, *arguments: str, expect: int = 0, inventory: Path = INVENTORY) -> Play:
    return play(playbook, *named(*arguments), expect=expect, inventory=inventory)


def slots() -> str:
    return psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots")


def back_again(before: str) -> None:
    said = node(ADD).text
    assert f"{STANDBY} is a standby of {PRIMARY}." in said
    wait_until_streaming(PRIMARY)
    assert node(ADD).changed == 0
    assert play("site.yml").changed == 0
    assert psql(PRIMARY, STARTED) == before


def test_a_machine_that_was_removed_stays_down_and_is_added_again() -> None:
    before = psql(PRIMARY, STARTED)
    shell(STANDBY, "touch", f"{DATA}/not_copied", user="postgres")
    assert (
        "is the primary. Hand over first"
        in play(REMOVE, "-e", f"node={PRIMARY}", "-e", f"confirm={PRIMARY}", expect=2).text
    )
    node(REMOVE, *GO)
    assert slots() == "0"
    assert STANDBY not in shell(REPOSITORY, "cat", REPOSITORY_CONF)
    assert unit_state(STANDBY) == "inactive"
    assert node(REMOVE, *GO).changed == 0
    assert f"{STANDBY} was removed from its cluster by " in play("site.yml", expect=2).text
    reboot(STANDBY)
    assert unit_state(STANDBY) == "inactive"
    shell(STANDBY, "systemctl", "start", "--no-block", UNIT)
    wait_until(lambda: guard_says(STANDBY)["verdict"] == "refuse", "the start guard to refuse", 30)
    assert "it was removed from its cluster by " in guard_says(STANDBY)["reason"]
    assert role_inside(STANDBY) not in ("primary", "standby")
    assert f"{STANDBY} was removed from its cluster by " in play("playbooks/rejoin.yml").text
    back_again(before)
    shell(STANDBY, "test", "-f", f"{DATA}/not_copied")


def knows() -> dict[str, bool]:
    """Whether the primary's guard, the repository host and the primary's slots know the standby."""
    guard = STANDBY in shell(PRIMARY, "cat", "/etc/relevo/guard.json")
    return {"guard": guard, "repository": STANDBY in shell(REPOSITORY, "cat", REPOSITORY_CONF), "slot": slots() == "1"}


def test_a_controller_that_is_killed_is_finished_by_the_same_command() -> None:
    """Each time the node is in the middle: down, and known to some of the others."""
    before = psql(PRIMARY, STARTED)
    with Writer() as writer:
        more(writer)
        killed_play(REMOVE, "Write pgBackRest's configuration", *named(*GO))
        assert unit_state(STANDBY) == "inactive"
        assert knows() == {"guard": False, "repository": True, "slot": True}
        # Nobody brings it back meanwhile.
        assert f"{STANDBY} was removed from its cluster by " in play("site.yml", expect=2).text
        assert f"{STANDBY} is removed from main." in node(REMOVE, *GO).text
        assert knows() == dict.fromkeys(("guard", "repository", "slot"), False)
        assert node(REMOVE, *GO).changed == 0

        killed_play(ADD, "Follow the primary", *named())
        # All others know it, and it may not start yet.
        assert knows()["guard"]
        assert knows()["repository"]
        back_again(before)
        more(writer)
    assert knows() == dict.fromkeys(("guard", "repository", "slot"), True)
    assert writer.trouble == writer.last_error == ""
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    seen = f"SELECT max(id) >= {writer.acknowledged[-1]} FROM trial"
    wait_until(lambda: psql(STANDBY, seen) == "t", "the standby to have the last row", 30)


def test_a_machine_that_does_not_answer_needs_somebody_s_word_and_a_second_run() -> None:
    before = psql(PRIMARY, STARTED)
    docker("pause", STANDBY)
    try:
        assert f"{STANDBY} does not answer" in node(REMOVE, *GO, expect=2).text
        said = node(REMOVE, *GO, "force=true").text
        assert f"Run this again when {STANDBY} answers" in said
        assert slots() == "0"
    finally:
        docker("unpause", STANDBY)
    assert role_inside(STANDBY) == "standby"
    node(REMOVE, *GO)
    assert unit_state(STANDBY) == "inactive"
    back_again(before)


def test_a_machine_is_cleared_and_added_as_a_new_one() -> None:
    before = psql(PRIMARY, STARTED)
    node(REMOVE, *GO, "remove_data=true")
    left = f"ls -d /etc/relevo {DATA} /etc/systemd/system/relevo-* /var/lib/postgresql/relevo 2>/dev/null | wc -l"
    assert shell(STANDBY, "sh", "-c", left).strip() == "0"
    assert slots() == "0"
    assert node(REMOVE, *GO, "remove_data=true").changed == 0
    back_again(before)


def test_a_machine_that_is_cleared_goes_on_with_its_haproxy() -> None:
    proxied, unit, before = INVENTORY.with_name("proxy_hosts.yml"), "relevo-haproxy", psql(PRIMARY, STARTED)
    hosts = yaml.safe_load(INVENTORY.read_text())
    hosts["all"]["children"]["nodes"]["children"]["haproxy"] = {
        "hosts": {STANDBY: {"haproxy_service_manager": "systemd"}}
    }
    proxied.write_text(yaml.safe_dump(hosts))
    play("site.yml", inventory=proxied)
    since = ("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", unit)
    started = shell(STANDBY, *since)
    node(REMOVE, *GO, "remove_data=true", inventory=proxied)
    assert shell(STANDBY, "ls", "/etc/relevo").split() == ["haproxy.cfg", "haproxy.servers", "tls"]
    assert STANDBY not in shell(STANDBY, "grep", "-w", "server", "/etc/relevo/haproxy.cfg")
    assert shell(STANDBY, *since) == started
    assert (SECRETS / "tls" / f"{STANDBY}.key").exists()
    password = (SECRETS / "user_imdb").read_text().strip()
    string = f"host={STANDBY} port=5000 user=imdb dbname=imdb sslmode=verify-full sslrootcert=/etc/relevo/tls/ca.crt"
    asked = f"psql '{string}' -XAtc 'SELECT pg_is_in_recovery()' 2>&1 | tail -n 1"

    def role() -> str:
        return shell(REPOSITORY, "env", f"PGPASSWORD={password}", "sh", "-c", asked).strip()

    wait_until(lambda: role() == "f", "HAProxy to lead to the primary", 20)
    assert node(REMOVE, *GO, "remove_data=true", inventory=proxied).changed == 0
    shell(STANDBY, "systemctl", "disable", "--now", unit)
    shell(STANDBY, "rm", "/etc/relevo/haproxy.cfg", f"/etc/systemd/system/{unit}.service")
    proxied.unlink()
    # Makes it anew.
    play("site.yml")
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0
    assert psql(PRIMARY, STARTED) == before
