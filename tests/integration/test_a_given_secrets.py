"""Passwords that are given reach the servers, and a cluster that got a public word for them gets rid of it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import Writer, may_log_in, more, redis_says
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REDIS,
    REPOSITORY,
    SECRETS,
    STANDBY,
    killed_play,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    shell,
)

PUBLIC_WORD = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
ROLES = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover")
#: What a passfile, a configuration file and a SCRAM verifier each could choke on.
GIVEN = {name: f'{name}:giv\\en "1"' for name in (*ROLES, "user_imdb")} | {"redis": 'redis:giv\\en "1"'}


#: SASLprep makes the same of two ways to write a letter, of ª and a, of a space that does not break and another one.
#: What it does not know, as it does not know an elephant, it leaves as it is.
LETTERS = {
    "user_imdb": "contraseña-ß-\U0001f418",
    "relevo_monitor": "contraseña-ß",
    "relevo_replication": "1ª réplica",
    "relevo_rewind": "vuelta\u00a0atrás",
    "relevo_handover": "切り替え\u0301",
}


def handed_over(path: Path, secrets: dict[str, str]) -> Iterator[Path]:
    """The variables file; afterwards the given passwords are the files', so that the other tests go on."""
    path.write_text(json.dumps({"secrets_given": secrets}))
    path.chmod(0o600)
    yield path
    for name, value in secrets.items():
        (SECRETS / name).write_text(value + "\n", encoding="utf-8")


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Path]:
    yield from handed_over(tmp_path / "given.json", GIVEN)


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[Path]:
    yield from handed_over(tmp_path / "letters.json", LETTERS)


def set_public_word() -> None:
    """What the version before did: one word for each role, in each passfile, for Redis and for the user."""
    for role in (*ROLES, "imdb"):
        psql(PRIMARY, f"ALTER ROLE {role} PASSWORD '{PUBLIC_WORD}'")
    for node in (PRIMARY, STANDBY, REPOSITORY):
        shell(node, "sed", "-i", f"s/:[^:]*$/:{PUBLIC_WORD}/", "/etc/relevo/pgpass")
    shell(REDIS, "sed", "-i", f's/^requirepass .*/requirepass "{PUBLIC_WORD}"/', "/etc/relevo/redis.conf")
    shell(REDIS, "sv", "-w", "30", "restart", "/etc/service/redis")
    assert may_log_in(STANDBY, "relevo_monitor", PUBLIC_WORD)


@pytest.mark.long
def test_a_public_word_is_refused_and_replaced(given: Path, backed_up: None) -> None:
    set_public_word()
    refused = play("site.yml", "-e", f"@{given}", expect=2)
    assert "site.yml -e secrets_replace_public=true" in refused.text
    for what in (
        f"the passfile of {PRIMARY}",
        f"the passfile of {REPOSITORY}",
        "the role imdb",
        f"the Redis of {REDIS}",
    ):
        assert what in refused.text, refused.output[-3000:]
    assert refused.changed == 0

    # What the night needs goes on meanwhile.
    play("backup.yml", "-e", "day=2", "-e", f"@{given}")
    play(FAILOVER)
    play(FAILBACK)

    written = (SECRETS / "user_imdb").read_text()
    (SECRETS / "user_imdb").write_text(PUBLIC_WORD)
    with Writer() as writer:
        replace = ("-e", f"@{given}", "-e", "secrets_replace_public=true")
        # One end after the roles, one between the passfiles and the users, one before Redis reads its file.
        for task in ("Write the node's key pair and passwords", "Restart Redis under runit", "Make the users"):
            killed_play("site.yml", task, *replace)
        play("site.yml", *replace)
        (SECRETS / "user_imdb").write_text(written)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []

    nothing_needs_attention()
    assert play("site.yml", "-e", f"@{given}").changed == 0
    for role in (*ROLES, "user_imdb"):
        assert may_log_in(PRIMARY, role, GIVEN[role]), role
        for other in (PUBLIC_WORD, (SECRETS / role).read_text().strip()):
            assert not may_log_in(PRIMARY, role, other), role
    assert redis_says(GIVEN["redis"]) == "PONG"
    for other in (PUBLIC_WORD, (SECRETS / "redis").read_text().strip()):
        assert "PONG" not in redis_says(other)
    # The nodes use them: the standby follows, and a hand-over logs in from node to node.
    play(FAILOVER)
    play(FAILBACK)
    play("backup.yml", "-e", "day=3", "-e", f"@{given}")


@pytest.mark.long
def test_a_password_may_have_any_letters(letters: Path, backed_up: None) -> None:
    """What the roles get is what a client makes of it, with whatever keyboard, and what the nodes write down."""
    with Writer() as writer:
        play("site.yml", "-e", f"@{letters}", "-e", "secrets_replace=true")
        (SECRETS / "user_imdb").write_text(LETTERS["user_imdb"], encoding="utf-8")
        more(writer)
    assert play("site.yml", "-e", f"@{letters}").changed == 0
    for role, password in LETTERS.items():
        assert may_log_in(PRIMARY, role, password), role
        assert not may_log_in(PRIMARY, role, password[:-1]), role
        # Of one that SASLprep knows any way to write it is good; of the elephant only the one that was given.
        for form in ("NFC", "NFD", "NFKC"):
            other = unicodedata.normalize(form, password)
            assert may_log_in(PRIMARY, role, other) == (role != "user_imdb" or other == password), (role, form)
    assert may_log_in(PRIMARY, "relevo_replication", "1a réplica")
    assert not may_log_in(PRIMARY, "relevo_monitor", "contrasena-ß")
    # From node to node, out of their passfiles.
    play(FAILOVER)
    play(FAILBACK)
    nothing_needs_attention()
