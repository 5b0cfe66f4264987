# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium, and the status page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from api_server import Server
from playwright.sync_api import Browser, Page, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "there is no chromium on the PATH: bin/setup installs it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def page_of(browser: Browser, server: Server) -> Iterator[Page]:
    """A page whose errors fail the test, and which may ask nobody but the server."""
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Madrid")
    context.set_default_timeout(60_000)
    made = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("request", lambda request: asked.append(request.url))
    made.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []


def enter(page: Page, server: Server, token: str) -> None:
    page.goto(f"{server.url}/ui")
    page.fill("#token", token)
    page.click("#enter button")
