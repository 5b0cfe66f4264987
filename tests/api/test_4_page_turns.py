# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status page does with answers that come late, or not at all: it shows none under another name, none as if it
were new, and starts nothing twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_server import Server
from browser import enter
from page_data import NOW, answers, job, node, stand_in
from playwright.sync_api import Browser, Page, Route, expect

LONG_S = 400


def asked_for(page: Page) -> list[str]:
    """The paths that the page asks for, from now on."""
    paths: list[str] = []
    page.on("request", lambda request: paths.append(urlsplit(request.url).path.removeprefix("/v1")))
    return paths


def tell(route: Route, body: Any, status: int = 200) -> None:
    route.fulfill(status=status, content_type="application/json", body=json.dumps(body))


@contextmanager
def held(page: Page, path: str) -> Iterator[list[Route]]:
    """Answer nothing at a path; the questions are kept, to be answered by the test."""
    kept: list[Route] = []
    where = re.compile(re.escape(path))
    page.route(where, lambda route: kept.append(route))
    yield kept
    page.unroute(where)


def in_page(page: Page, seconds: float) -> None:
    """Let the page's clock go on, with all that it does meanwhile."""
    page.clock.run_for(int(seconds * 1000))
    # The answers come by the real clock.
    page.evaluate("() => fetch('/ui').then((answer) => answer.text())")


def two_clusters() -> dict[str, Any]:
    """The answers for main, which is well, and for other, whose only server is down."""
    told = answers()
    nodes = [node("alone", "primary")]
    told["/v1/clusters"] = {"clusters": [{"name": "main"}, {"name": "other"}]}
    told["/v1/clusters/other/nodes"] = {**told["/v1/clusters/main/nodes"], "nodes": nodes, "primaries": ["alone"]}
    told["/v1/clusters/other"] = {**told["/v1/clusters/main"], "primaries": ["alone"], "nodes": []}
    told["/v1/clusters/other/backups"] = {"total": 0, "limit": 200, "offset": 0, "items": []}
    return told


def test_a_token_that_is_revoked_ends_the_asking(page: Page, server: Server, tokens: dict[str, str]) -> None:
    page.clock.install()
    enter(page, server, tokens["read"])
    expect(page.locator("#view")).to_be_visible()
    page.route("**/v1/**", lambda route: tell(route, {"detail": "no"}, 401))
    in_page(page, 2)
    expect(page.locator("#enterProblem")).to_have_text("This server does not know that token.")
    paths = asked_for(page)
    page.fill("#token", "half a tok")
    page.focus("#theme")
    for _ in range(4):
        in_page(page, 20)
    assert [path for path in paths if path != "/ui"] == []
    expect(page.locator("#token")).to_have_value("half a tok")
    expect(page.locator("#theme")).to_be_focused()


@pytest.mark.parametrize("status", [200, 401, 503])
def test_who_signs_out_is_not_followed_by_an_answer(page: Page, server: Server, status: int) -> None:
    told = answers()
    page.clock.install()
    stand_in(page, told)
    with held(page, "/v1/clusters/main?max_age") as kept:
        enter(page, server, "x")
        expect(page.locator(".node")).to_have_count(3)
        page.click("#leave")
        tell(kept[0], told["/v1/clusters/main"] if status == 200 else {"detail": "no"}, status)
        paths = asked_for(page)
        in_page(page, 90)
    expect(page.locator("#view")).to_be_hidden()
    expect(page.locator("#enterProblem")).to_be_hidden()
    assert [path for path in paths if path != "/ui"] == []
    # Nothing is left for who signs in next.
    assert page.locator("#jobs").inner_html() == page.locator("#timeline").inner_html() == ""


def test_an_answer_is_shown_under_its_own_cluster_only(page: Page, server: Server) -> None:
    told = two_clusters()
    page.clock.install()
    stand_in(page, told)
    with held(page, "/v1/clusters/main?max_age") as kept:
        enter(page, server, "x")
        expect(page.locator("#timeline svg")).to_be_visible()
        page.click("[data-cluster=other]")
        # What was main's is gone at once, not when other's has come.
        expect(page.locator("#timeline svg")).to_have_count(0)
        expect(page.locator("#subline")).to_contain_text("Every standby follows")
        ill = answers(ill=True)["/v1/clusters/main"]
        tell(kept[0], ill)
        in_page(page, 2)
    expect(page.locator("#headline")).to_have_text("alone is primary.")
    expect(page.locator("#problems")).to_be_hidden()


def test_a_cluster_that_is_chosen_often_is_asked_as_seldom(page: Page, server: Server) -> None:
    page.clock.install()
    stand_in(page, two_clusters())
    enter(page, server, "x")
    for name in ("other", "main") * 4:
        page.click(f"[data-cluster={name}]")
    expect(page.locator(".node")).to_have_count(3)
    page.clock.pause_at(page.evaluate("Date.now() + 5000"))
    paths = asked_for(page)
    for _ in range(10):
        in_page(page, 1)
    asked = [path for path in paths if path.endswith("/nodes")]
    assert set(asked) == {"/clusters/main/nodes"}
    assert len(asked) <= 11


SAID = {
    "en": ("What is shown of problems and backups is from Nov 26", " min ago."),
    "es": ("Lo que se muestra de problemas y copias es del 26 nov", "hace "),
}


@pytest.mark.parametrize("language", SAID)
def test_a_status_that_cannot_be_read_is_no_verdict(page: Page, server: Server, language: str) -> None:
    told = answers()
    page.clock.install()
    stand_in(page, told)
    enter(page, server, "x")
    if language != "en":
        page.click("#language")
    expect(page.locator("#verdict")).to_have_attribute("data-state", "good")
    with held(page, "/v1/clusters/main?max_age") as kept:
        in_page(page, 31)
        tell(kept[0], {"detail": "The inventory cannot be read."}, 503)
        expect(page.locator("#verdict")).to_have_attribute("data-state", "unknown")
        expect(page.locator("#subline")).to_contain_text("The inventory cannot be read.")
        expect(page.locator(".facts [data-state=good]")).to_have_count(0)
        page.clock.fast_forward(LONG_S * 1000)
        for words in SAID[language]:
            expect(page.locator("#subline")).to_contain_text(words)
        in_page(page, 1)
        tell(kept[-1], {"detail": "The inventory cannot be read."}, 503)
    # What the servers say themselves is still known.
    expect(page.locator("#headline")).to_contain_text("postgres_master")
    in_page(page, 31)
    expect(page.locator("#verdict")).to_have_attribute("data-state", "good")
    expect(page.locator("#subline")).not_to_contain_text("inventory")


def test_a_status_that_does_not_come_grows_old(page: Page, server: Server) -> None:
    page.clock.install()
    stand_in(page, answers())
    enter(page, server, "x")
    expect(page.locator("#verdict")).to_have_attribute("data-state", "good")
    with held(page, "/v1/clusters/main?max_age"):
        page.clock.fast_forward(LONG_S * 1000)
        expect(page.locator("#verdict")).to_have_attribute("data-state", "unknown")


def test_what_the_watcher_said_is_not_live_for_ever(page: Page, server: Server) -> None:
    """The API answers, but not about the servers: neither the servers nor the old status say who is primary now."""
    told = answers()
    page.clock.install()
    stand_in(page, told)
    enter(page, server, "x")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.route("**/v1/clusters/main/nodes", lambda route: tell(route, {"detail": "Too many requests."}, 429))
    in_page(page, 2)
    expect(page.locator("#pulse")).to_have_text("The servers are not being watched")
    page.route(re.compile("main.max_age"), lambda route: tell(route, {"detail": "Too many requests."}, 429))
    in_page(page, 31)
    expect(page.locator("#headline")).to_have_text("What the servers are doing is not known at the moment.")
    expect(page.locator("#subline")).to_contain_text("Too many requests.")


def test_backups_lie_where_their_moment_is(browser: Browser, server: Server) -> None:
    """The repository host's clock is nine hours ahead: its labels stand as they are, its marks do not."""
    told = answers()
    items = told["/v1/clusters/main/backups"]["items"]
    for number, one in enumerate(items):
        moment = NOW - timedelta(hours=24 * number)
        there = moment + timedelta(hours=9)
        one |= {"terminado": moment.isoformat(), "fecha": f"{there:%Y-%m-%d}", "hora": f"{there:%H:%M:%S}"}
    # The record of a backup that is gone: nobody knows when it ended.
    items.append({**items[-1], "etiqueta": "20200101-000000F"})
    del items[-1]["terminado"]
    told["/v1/clusters/main"]["backups"]["recovery_window"]["until"] = NOW.isoformat()
    context = browser.new_context(locale="en-GB", timezone_id="America/Lima")
    page = context.new_page()
    stand_in(page, told)
    enter(page, server, "x")
    expect(page.locator("#timeline svg")).to_be_visible()
    assert page.locator("#timeline [class^=mark-]:not(.mark-needs)").count() == len(items) - 1
    # The newest ended at the end of the window.
    [edge] = page.evaluate(
        "[...document.querySelectorAll('#timeline .window-edge')].slice(-1).map((one) => one.x1.baseVal.value)"
    )
    [newest] = page.evaluate(
        "[...document.querySelectorAll('#timeline [class^=mark-]:not(.mark-needs)')].slice(-1)"
        ".map((one) => { const box = one.getBBox(); return box.x + box.width / 2; })"
    )
    assert newest == pytest.approx(edge, abs=1)
    title = page.evaluate("[...document.querySelectorAll('#timeline title')].slice(-1)[0].textContent")
    assert title.endswith(f"{items[0]['fecha']} {items[0]['hora']}")
    context.close()


def test_a_confirmation_whose_answer_was_lost_starts_nothing_twice(page: Page, server: Server) -> None:
    told = answers()
    stand_in(page, told)
    keys: list[str | None] = []
    last = ["lost", "lost", "lost", "refused", "begun"]

    def answer(route: Route) -> None:
        if "plan=true" in route.request.url:
            tell(route, told["/v1/clusters/main/switchover"])
            return
        keys.append(route.request.header_value("idempotency-key"))
        what = last[len(keys) - 1]
        if what == "lost":
            route.abort()
        elif what == "refused":
            tell(route, {"detail": "Somebody else works on the cluster."}, 409)
        else:
            tell(route, job("running", "switchover", 0), 202)

    page.route("**/v1/clusters/main/switchover*", answer)
    enter(page, server, "x")

    def confirm() -> None:
        page.click("#askYes")
        expect(page.locator("#askProblem")).to_have_text("No answer")

    def plan() -> None:
        page.click("#askPlan")
        expect(page.locator("#askYes")).to_be_enabled()

    page.click("[data-operation=switchover]")
    plan()
    confirm()
    # The plan still stands there, to be confirmed again.
    expect(page.locator("#plan .message")).to_be_visible()
    confirm()
    # A plan that is made anew, and a dialog, are of the same wish.
    page.keyboard.press("Escape")
    page.click("[data-operation=switchover]")
    plan()
    confirm()
    page.click("#askYes")
    expect(page.locator("#askProblem")).to_have_text("Somebody else works on the cluster.")
    expect(page.locator("#askYes")).to_be_disabled()
    plan()
    page.click("#askYes")
    expect(page.locator("#ask")).to_be_hidden()
    assert all(keys)
    assert [key == keys[0] for key in keys] == [True, True, True, True, False]


def test_a_plan_is_not_shown_in_another_dialog(page: Page, server: Server) -> None:
    told = answers()
    told["/v1/clusters/main/failback"] = {**told["/v1/clusters/main/switchover"], "message": "Fail back."}
    stand_in(page, told)
    enter(page, server, "x")
    with held(page, "/v1/clusters/main/switchover") as kept:
        page.click("[data-operation=switchover]")
        page.click("#askPlan")
        expect(page.locator("#askPlan")).to_be_disabled()
        page.keyboard.press("Escape")
        page.click("[data-operation=failback]")
        expect(page.locator("#plan .message")).to_have_text("Fail back.")
        with page.expect_response("**/switchover*"):
            tell(kept[0], told["/v1/clusters/main/switchover"])
    expect(page.locator("#plan .message")).to_have_text("Fail back.")
