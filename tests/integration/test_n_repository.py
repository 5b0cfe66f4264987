"""What would lose the repository is refused, and nothing is promised that the archive does not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cluster import (
    PGDATA,
    PRIMARY,
    REPOSITORY,
    STATUS,
    archive_all,
    docker,
    json_document,
    labels,
    nothing_needs_attention,
    play,
    provision,
    shell,
    switch,
    wait_until,
)
from holding import exists
from restores import RESTORE, add, new_ledger, now, port_of

pytestmark = [pytest.mark.usefixtures("backed_up"), pytest.mark.long]

CONFIG = "/etc/pgbackrest/pgbackrest.conf"
#: Below the container's volume: anywhere else it would go with the container, and is refused.
PATH, ELSEWHERE = "/var/lib/pgbackrest", "/var/lib/pgbackrest/elsewhere"
CATALOG = ("playbooks/catalog.yml", "-e", "catalog_language=en")


def archived(segment: str, path: str = PATH) -> bool:
    return bool(shell(REPOSITORY, "find", f"{path}/archive", "-name", f"{segment}-*").strip())


def archives() -> None:
    segment = switch()
    wait_until(lambda: archived(segment), f"{segment} to be archived", 60)


def configurations() -> dict[str, str]:
    return {node: shell(node, "cat", CONFIG) for node in (PRIMARY, REPOSITORY)}


#: How a file that was compressed by zst begins.
ZST = "28b52ffd"


def first_bytes(*directories: str) -> dict[str, str]:
    """By file of the repository, its first eight bytes in hexadecimal."""
    head = 'printf "%s %s\\n" "$(head -c 8 "$1" | od -An -tx1 | tr -d " ")" "$1"'
    listed = shell(REPOSITORY, "find", *directories, "-type", "f", "-exec", "sh", "-c", head, "_", "{}", ";")
    return {name: head for head, name in (line.split(" ", 1) for line in listed.splitlines())}


def test_encryption_cannot_be_switched_on_for_backups_that_are_there() -> None:
    before = configurations()
    options = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "a-pass-phrase"}
    refused = play("site.yml", "--diff", "-e", json.dumps({"pgbackrest_options": options}), expect=2)
    assert "cannot be opened with repo1-cipher-type=aes-256-cbc in place of none" in refused.text
    assert f"the newest {labels()[-1]}" in refused.text
    assert "a-pass-phrase" not in refused.output
    assert "Take the change out of pgbackrest_options." in refused.text
    assert "disk" not in refused.text
    assert refused.changed == 0
    assert configurations() == before
    archives()


def test_encryption_is_chosen_at_the_first_provisioning() -> None:
    options = {"repo1-cipher-type": "aes-256-cbc", "repo1-cipher-pass": "a-pass-phrase"}
    given = ("-e", json.dumps({"pgbackrest_options": options}))
    play("playbooks/down.yml", "-e", "down_data=true")
    try:
        assert "a-pass-phrase" not in play("site.yml", "--diff", *given).output
        play("backup.yml", *given)
        new_ledger()
        add(1)
        before = now()
        add(2)
        archive_all()
        heads = first_bytes(f"{PATH}/archive/main", f"{PATH}/backup/main")
        bundles = {name: head for name, head in heads.items() if "/bundle/" in name}
        assert bundles
        assert len(heads) > len(bundles) + 5
        # How openssl begins what it encrypts: WAL, lists and manifests.
        assert {head for name, head in heads.items() if name not in bundles} == {b"Salted__".hex()}
        # In a bundle pgBackRest leaves that out; what is only compressed begins as zst does.
        assert not [name for name, head in bundles.items() if head.startswith(ZST)]
        # What it is opened with is in the configuration of the hosts by now.
        port = port_of(play(RESTORE, "-e", f"target={before}"))
        ids = shell(REPOSITORY, "psql", "-p", port, "-d", "imdb", "-XAtc", "SELECT id FROM ledger", user="postgres")
        assert ids.split() == ["1"]
        refused = play("site.yml", expect=2)
        assert "cannot be opened with repo1-cipher-type=none in place of aes-256-cbc" in refused.text
        assert refused.changed == 0
        assert play("site.yml", *given).changed == 0
    finally:
        provision()


def test_another_time_zone_of_the_repository_host_is_a_sentence_and_moves_no_window() -> None:
    information = json.loads(shell(REPOSITORY, "pgbackrest", "--output=json", "info", user="postgres"))[0]["backup"]
    since = min(datetime.fromtimestamp(backup["timestamp"]["stop"], UTC) for backup in information)
    docker("cp", "-L", "/usr/share/zoneinfo/America/Lima", f"{REPOSITORY}:/etc/localtime")
    try:
        assert "-05" in shell(REPOSITORY, "date", "+%z")
        assert f"any moment since {since:%Y-%m-%d %H:%M:%S} UTC" in play(*CATALOG).text
        refused = play("backup.yml", "-e", "day=1", expect=2)
        assert "its time zone or its clock was set back" in refused.text
    finally:
        shell(REPOSITORY, "rm", "/etc/localtime")
    play("backup.yml", "-e", "day=2")
    nothing_needs_attention()


def codes() -> set[str]:
    """Of what status.yml tells."""
    return {str(one["code"]) for one in json_document(play(STATUS, "-e", "format=json").output)["problems"]}


def holes_told() -> set[str]:
    return {code for code in codes() if code.startswith("archive-hole")}


def test_backups_are_not_left_behind_unless_that_was_said_and_a_hole_is_told() -> None:
    before, known = configurations(), labels()
    moved = ("-e", f"pgbackrest_repo_path={ELSEWHERE}")
    refused = play("site.yml", *moved, expect=2)
    assert f"{PATH} holds {len(known)} backups of stanza main, the newest {known[-1]}" in refused.text
    assert f"site.yml -e pgbackrest_left_path={PATH}" in refused.text
    assert configurations() == before

    play("site.yml", *moved, "-e", f"pgbackrest_left_path={PATH}")
    segment = switch(3)
    wait_until(lambda: archived(segment, ELSEWHERE), f"{segment} to be archived elsewhere", 60)
    assert labels() == []

    # And back: what was archived elsewhere is missing here. What the primary still has is archived again, but not what
    # it has recycled meanwhile.
    remove_status(segment)
    play("site.yml")
    assert labels() == known
    archives()
    one_before = f"{segment[:8]}{int(segment[8:], 16) - 1:016X}"
    assert archived(one_before)
    assert not archived(segment)
    a_hole_is_told()


def remove_status(segment: str) -> None:
    """The server does not count this segment as archived, nor as one to be archived, as if it had recycled it."""
    shell(PRIMARY, "rm", f"{PGDATA}/pg_wal/archive_status/{segment}.done")


def a_hole_is_told() -> None:
    """And nothing is promised beyond it, until there is a backup."""
    newest = datetime.fromtimestamp(stops()[-1], UTC)
    said = play(STATUS, "-e", "require=healthy", expect=2).text
    assert "missing in the archive" in said
    assert f"not every moment from {newest.isoformat()} on can be restored. Run site.yml" in said
    shown = play(*CATALOG).text
    assert f"until {newest:%Y-%m-%d %H:%M:%S} UTC" in shown
    assert "to the next backup can be recovered" in shown

    play("backup.yml", "-e", "day=1")
    again = datetime.fromtimestamp(stops()[-1], UTC)
    said = play(STATUS, "-e", "require=healthy").text
    assert f"not every moment from {newest.isoformat()} to {again.isoformat()} can be restored" in said
    assert f"any moment from {again.isoformat()}" in said
    shown = play(*CATALOG).text
    assert f"any moment since {again:%Y-%m-%d %H:%M:%S} UTC until " in shown
    assert f" UTC (oldest: {labels()[-1]})" in shown


def stops() -> list[int]:
    information = json.loads(shell(REPOSITORY, "pgbackrest", "--output=json", "info", user="postgres"))[0]["backup"]
    return [int(backup["timestamp"]["stop"]) for backup in information]


@pytest.fixture
def dropping() -> Iterator[None]:
    """WAL is dropped rather than kept, as somebody whose disk was full once may have it."""
    play("site.yml", "-e", json.dumps({"pgbackrest_options": {"archive-push-queue-max": "20MB"}}))
    yield
    play("site.yml")


@pytest.mark.usefixtures("dropping")
def test_wal_that_was_dropped_is_told_and_archived_again_while_the_primary_has_it() -> None:
    # A test before may have left a hole, which is told together with this one by whoever measures.
    older = holes_told()
    assert older <= {"archive-hole-past"}
    shell(REPOSITORY, "sv", "-w", "30", "down", "/etc/service/pgbackrest")
    try:
        # The newest fits into what may wait.
        segment, *_later = [switch() for _ in range(5)]
        done = f"{PGDATA}/pg_wal/archive_status/{segment}.done"
        wait_until(lambda: exists(PRIMARY, done), "WAL to be dropped", 120)
        assert not archived(segment)
        # Nothing has come after it that would show the hole; only the server says that it has given it away.
        said = play(STATUS, "-e", "require=healthy", expect=2).text
        assert f"missing in the archive ({segment} to" in said
        measured = play("playbooks/catalog_check.yml", expect=2).text
        found = re.search(r"missing in the archive \((\w+) to (\w+)\)", measured)
        assert found is not None
        assert found[1] <= segment <= found[2]
    finally:
        shell(REPOSITORY, "sv", "-w", "30", "up", "/etc/service/pgbackrest")
    wait_until(lambda: "run" in shell(REPOSITORY, "sv", "status", "/etc/service/pgbackrest"), "the service", 30)
    archives()
    assert "archive-hole" in holes_told() - older
    options = ("-e", json.dumps({"pgbackrest_options": {"archive-push-queue-max": "20MB"}}))
    # Still on the first timeline, where nothing has ever been handed over.
    assert segment.startswith("00000001")
    assert play("site.yml", *options).changed == 1
    assert archived(segment)
    assert holes_told() == older
    assert play("site.yml", *options).changed == 0
