# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of the control API. Where no cluster is needed, the inventory's containers do not exist, so that each play
refuses after its first questions: real playbooks, a few seconds, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_server import CLUSTERS, NETWORK, WIDE, Server, runner_settings, serving
from browser import chromium, page_of
from cluster import inventory
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def nothing() -> Path:
    """An inventory whose containers do not exist."""
    return inventory(NETWORK, 1024)


@pytest.fixture(scope="module")
def server(nothing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = runner_settings(nothing, CLUSTERS, open_legacy=True, limits=WIDE)
    with serving(tmp_path_factory.mktemp("api"), settings) as started:
        yield started


@pytest.fixture(scope="module")
def tokens(server: Server) -> dict[str, str]:
    """A token of each scope."""
    return {scope: server.token(scope, scope) for scope in ("read", "operate", "destroy")}


@pytest.fixture
def api(server: Server, tokens: dict[str, str]) -> Iterator[httpx.Client]:
    """Asks with the scope operate."""
    with server.client(tokens["operate"]) as client:
        yield client


@pytest.fixture
def anybody(server: Server) -> Iterator[httpx.Client]:
    """Asks without a token."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with page_of(browser, server) as made:
        yield made
