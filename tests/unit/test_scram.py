"""Verifiers of passwords."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import make_verifier, matches


def test_a_password_matches_its_verifier_only() -> None:
    verifier = make_verifier("secret")
    assert matches("secret", verifier)
    assert not matches("Secret", verifier)


def test_two_verifiers_of_a_password_differ() -> None:
    assert make_verifier("secret") != make_verifier("secret")


def test_what_is_no_verifier_matches_nothing() -> None:
    for text in (None, "", "md5abc", "SCRAM-SHA-256$x", "SCRAM-SHA-256$4096:!!!$a:b"):
        assert not matches("secret", text)
