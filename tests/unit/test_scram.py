"""Verifiers of passwords."""

from __future__ import annotations

import pytest
from psycopg import pq

from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import make_verifier, matches
from ansible_collections.relevo.postgres.plugins.modules.pg_password_info import with_their_password


def test_a_password_matches_its_verifier_only() -> None:
    verifier = make_verifier("secret")
    assert matches("secret", verifier)
    assert not matches("Secret", verifier)


def test_two_verifiers_of_a_password_differ() -> None:
    assert make_verifier("secret") != make_verifier("secret")


def test_what_is_no_verifier_matches_nothing() -> None:
    for text in (None, "", "md5abc", "SCRAM-SHA-256$x", "SCRAM-SHA-256$4096:!!!$a:b"):
        assert not matches("secret", text)


@pytest.mark.parametrize(
    "password",
    [
        *(
            "secret",
            "a b",
            'giv\\en "1"',
            "contraseña",
            "contrasen\u0303a",
            "a\u00a0b",
            "1ª",
            "x²",
            "\u00adx",
            "\u00ad",
        ),
        *("\u0627\u0628", "\u0627a", "1\u0627", "\u0007ñ", "\U0001f511", "\ufb01", "\uff41", "\u2028x", "ñ\ue000"),
    ],
)
def test_it_is_what_libpq_makes_of_the_password(password: str) -> None:
    """And so what a client proves, with whatever letters it is written."""
    client = pq.PGconn.connect_start(b"host=/nowhere")
    theirs = client.encrypt_password(password.encode(), b"x", b"scram-sha-256").decode()
    client.finish()
    assert matches(password, theirs)


def test_a_role_has_its_password_with_whatever_letters() -> None:
    """Seen: an elephant, which others cannot compare, and a password that was set again at every run."""
    passwords = {"a": "contrase\u00f1a-\U0001f418", "b": "\u00f1", "c": "other", "d": "gone", "e": "md5"}
    verifiers: dict[str, str | None] = {
        "a": make_verifier(passwords["a"]),
        "b": make_verifier("n\u0303"),
        "c": make_verifier("word"),
        "e": "md5abc",
    }
    assert with_their_password(passwords, verifiers) == ["a", "b"]
    assert with_their_password({"f": None}, {"f": None}) == []
