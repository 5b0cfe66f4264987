# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask the control API for what."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from relevo_api.access import Access, host_of, is_within, legacy_refusal
from relevo_api.guard import Buckets, Guard
from relevo_api.settings import Settings
from relevo_api.tokens import TokenError, Tokens

HERE = {"host": "127.0.0.1:8088"}


def settings(**given: Any) -> Settings:
    runner = {"kind": "runner", "ansible_playbook": "/x/ansible-playbook", "inventory": []}
    fixed = {"state_directory": "/x", "playbooks": "/x", "project_directory": "/x", "backend": runner, "clusters": []}
    return Settings.model_validate({**fixed, **given})


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("127.0.0.1", HERE),
        ("127.0.0.1", {"host": "localhost"}),
        ("::1", {"host": "[::1]:8088"}),
        ("::ffff:127.0.0.1", HERE),
        # The status page's own requests, and somebody who typed the address.
        ("127.0.0.1", {**HERE, "origin": "http://127.0.0.1:8088", "sec-fetch-site": "same-origin"}),
        ("127.0.0.1", {**HERE, "sec-fetch-site": "none"}),
    ],
)
def test_the_old_endpoints_are_open_to_this_machine(address: str, headers: dict[str, str]) -> None:
    assert legacy_refusal(settings(open_legacy=True), address, headers) == ""


@pytest.mark.parametrize(
    ("address", "headers", "why"),
    [
        ("192.0.2.7", HERE, "is another"),
        ("", HERE, "is another"),
        ("127.0.0.1", {**HERE, "x-forwarded-for": "127.0.0.1"}, "forwarded"),
        ("127.0.0.1", {**HERE, "forwarded": "for=127.0.0.1"}, "forwarded"),
        ("127.0.0.1", {**HERE, "x-real-ip": "127.0.0.1"}, "forwarded"),
        ("127.0.0.1", {**HERE, "via": "1.1 proxy"}, "forwarded"),
        ("127.0.0.1", {"host": "evil.example"}, "Host header"),
        ("127.0.0.1", {}, "Host header"),
        ("127.0.0.1", {**HERE, "origin": "https://evil.example"}, "another site"),
        ("127.0.0.1", {**HERE, "origin": "null"}, "another site"),
        # A page of another service of this machine, in a browser that does not say whose page it is.
        ("127.0.0.1", {**HERE, "origin": "http://127.0.0.1:9000"}, "another site"),
        ("127.0.0.1", {**HERE, "origin": "http://localhost:8088"}, "another site"),
        ("127.0.0.1", {**HERE, "sec-fetch-site": "cross-site"}, "another site"),
        ("127.0.0.1", {**HERE, "sec-fetch-site": "same-site"}, "another site"),
    ],
)
def test_and_to_nobody_else(address: str, headers: dict[str, str], why: str) -> None:
    assert why in legacy_refusal(settings(open_legacy=True), address, headers)


def test_they_are_closed_unless_somebody_opens_them() -> None:
    assert "control_api_open_legacy" in legacy_refusal(settings(), "127.0.0.1", HERE)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("a:80", "a"),
        ("A", "a"),
        ("[::1]:80", "::1"),
        ("https://a.b:1", "a.b"),
        ("null", "null"),
        ("", ""),
        ("[::1", ""),
    ],
)
def test_the_name_in_a_header(header: str, name: str) -> None:
    assert host_of(header) == name


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.0.0.1", False), ("no address", False), ("fe80::1", False)],
)
def test_networks(address: str, inside: bool) -> None:
    assert is_within(address, [ipaddress.ip_network("10.0.0.0/8")]) is inside


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens.json")


def test_a_token_is_found_by_its_word_and_stored_as_a_hash(tokens: Tokens) -> None:
    word = tokens.make("ana", "operate")
    found = tokens.find(word)
    assert found
    assert (found.name, found.scope) == ("ana", "operate")
    assert word not in tokens.path.read_text()
    assert tokens.path.stat().st_mode & 0o077 == 0
    assert tokens.find(word + "x") is None
    assert tokens.find("") is None


def test_tokens_are_rotated_and_revoked_without_a_restart(tokens: Tokens) -> None:
    other = Tokens(tokens.path)
    first = tokens.make("ana", "read")
    assert other.find(first)
    second = tokens.make("ana", "read")
    assert other.find(first) is None
    assert other.find(second)
    tokens.revoke("ana")
    assert other.find(second) is None


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"read"}), ("operate", {"read", "operate"}), ("destroy", {"read", "operate", "destroy"})],
)
def test_scopes_contain_those_before_them(tokens: Tokens, scope: str, allowed: set[str]) -> None:
    token = tokens.find(tokens.make("ana", scope))
    assert token
    assert {one for one in ("read", "operate", "destroy") if token.allows(one)} == allowed


@pytest.mark.parametrize(("name", "scope"), [("", "read"), ("Ana", "read"), ("a b", "read"), ("ana", "root")])
def test_what_is_no_token_is_refused(tokens: Tokens, name: str, scope: str) -> None:
    with pytest.raises(TokenError):
        tokens.make(name, scope)


def test_a_token_that_is_not_there_cannot_be_revoked(tokens: Tokens) -> None:
    tokens.make("ana", "read")
    with pytest.raises(TokenError, match="There is no token bob. There are: ana."):
        tokens.revoke("bob")


# --- how often -------------------------------------------------------------------------------------------------------


def test_requests_come_back_with_the_time() -> None:
    now = [0.0]
    buckets = Buckets(rate=2, burst=3, clock=lambda: now[0])
    for _ in range(3):
        assert buckets.wait_s("a") == 0
        buckets.take("a")
    assert buckets.wait_s("a") == 0.5
    assert buckets.wait_s("b") == 0
    now[0] = 0.5
    assert buckets.wait_s("a") == 0


def test_addresses_are_forgotten_before_the_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relevo_api.guard.REMEMBERED", 2)
    buckets = Buckets(rate=1, burst=1)
    for address in "abc":
        buckets.take(address)
    assert list(buckets.known) == ["b", "c"]


def test_whatever_an_address_did_it_waits_for_one_request_at_most() -> None:
    now = [0.0]
    buckets = Buckets(rate=0.5, burst=3, clock=lambda: now[0])
    for _ in range(1000):
        buckets.take("a")
    assert buckets.wait_s("a") == 2
    now[0] = 2.0
    assert buckets.wait_s("a") == 0


@pytest.mark.parametrize("path", ["/nodes/a/health", "/healthz"])
def test_a_monitor_without_a_token_does_not_lock_its_machine_out(path: str) -> None:
    limited = settings(limits={"refusals": 1})
    app = FastAPI()

    @app.get("/{path:path}")
    async def refuse() -> Response:
        return Response(status_code=401)

    app.add_middleware(Guard, settings=limited)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert {client.get(path).status_code for _ in range(20)} == {401}
        # Guesses at what the limit protects are counted.
        assert [client.get("/v1/me").status_code for _ in range(2)] == [401, 429]


@pytest.mark.parametrize("name", ["host", "origin"])
def test_a_header_that_is_no_address_is_refused_and_no_fault(name: str) -> None:
    assert legacy_refusal(settings(open_legacy=True), "127.0.0.1", {**HERE, name: "[::1"})


# --- what root types -------------------------------------------------------------------------------------------------


def test_what_root_makes_belongs_to_the_service(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, tuple[int, int]] = {}

    def chown(number: int, user: int, group: int) -> None:
        given[Path(f"/proc/self/fd/{number}").readlink().name] = (user, group)

    owner = tokens.path.parent.stat()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.fchown", chown)
    tokens.make("ana", "read")
    assert given == dict.fromkeys((".tokens.json.lock", f".tokens.json.{os.getpid()}"), (owner.st_uid, owner.st_gid))


def test_the_command_that_a_refusal_names_runs(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(settings(state_directory=str(tmp_path)).model_dump_json())
    access = Access(Settings.read(file), Tokens(tmp_path / "tokens.json"), file)
    command = access.how_to_make("operate").replace("NAME", "ana")
    word = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    found = access.tokens.find(word)
    assert found
    assert (found.name, found.scope) == ("ana", "operate")
