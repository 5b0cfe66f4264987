# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small server of the endpoints of AWX's REST API that our backend uses: launch, state, events, cancel.

It is no AWX, and runs nothing: it plays a recorded job, whose events have the form that AWX's have. What it answers is
taken from AWX 24.6's API: ``job_templates/NAME/launch``, ``jobs/N``, ``jobs/N/job_events``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from awx_data import defaults, objects
from awx_rules import answer_problems

TOKEN = "awx-token-of-the-stand-in"
PAGE = 2


def event(counter: int, kind: str, stdout: str = "", **data: Any) -> dict[str, Any]:
    return {"counter": counter, "event": kind, "stdout": stdout, "event_data": data}


REPORT = "relevo.postgres.report"
DONE = [
    event(1, "playbook_on_play_start", "PLAY [Fail over]"),
    event(2, "playbook_on_task_start", task="Plan", name="Plan"),
    event(3, "runner_on_ok", task_action="relevo.postgres.operation_lock", res={"changed": False, "held": True}),
    event(4, "runner_on_ok", "b is primary.", task_action=REPORT, res={"text": "b is primary.", "password": "geheim"}),
    event(5, "playbook_on_stats", "PLAY RECAP"),
]
REFUSED = [
    event(1, "playbook_on_play_start", "PLAY [Fail back]"),
    event(
        2, "runner_on_failed", "fatal", task="Plan", host="localhost", res={"msg": "a is paused. Nothing was changed."}
    ),
]
PLANNED = [event(1, "runner_on_ok", task_action=REPORT, res={"text": "", "data": {"version": 1, "refusals": []}})]


class StandIn:
    """``templates``: what each plays, and the variables for which it asks (None: all)."""

    def __init__(self) -> None:
        self.templates: dict[str, tuple[str, list[dict[str, Any]], set[str] | None]] = {
            "Relevo failover forced++Databases": ("successful", DONE, None),
            "Relevo failback++Databases": ("failed", REFUSED, None),
            "our rejoin": ("successful", DONE, None),
            "Relevo restore beside++Databases": ("successful", DONE, None),
            "Relevo backup++Databases": ("successful", DONE, {"cluster"}),
        }
        self.surveys = {one["name"]: one for one in objects()["controller_templates"]}
        #: How many questions after a job will be answered with 502, as by a proxy whose AWX restarts.
        self.away = 0
        self.jobs: list[dict[str, Any]] = []
        self.cancelled: list[int] = []

    def launch(self, name: str, variables: dict[str, Any], job_type: str = "run") -> tuple[int, dict[str, Any]]:
        if name not in self.templates:
            return 404, {"detail": "Not found."}
        state, events, asked = self.templates[name]
        dropped = {} if asked is None else {key: value for key, value in variables.items() if key not in asked}
        # What the project's own template asks, and what AWX says to an answer that is not one of its.
        survey = self.surveys.get(name.partition("++")[0])
        if survey:
            questions = {question["variable"] for question in survey["survey_spec"]["spec"]}
            answers = {key: value for key, value in variables.items() if key in questions}
            if problems := answer_problems(survey["survey_spec"], answers):
                return 400, {"variables_needed_to_start": problems}
            variables = {**{key: value for key, value in defaults(survey).items() if value != ""}, **variables}
        planned = variables.get("plan") == "json"
        self.jobs.append(
            {
                "template": name,
                "variables": variables,
                "job_type": job_type,
                "ends": "successful" if planned else state,
                "events": PLANNED if planned else events,
                "asked": 0,
            }
        )
        ignored = {"ignored_fields": {"extra_vars": dropped} if dropped else {}}
        return 201, {"job": len(self.jobs), "status": "pending", **ignored}

    def state(self, number: int) -> dict[str, Any]:
        job = self.jobs[number - 1]
        job["asked"] += 1
        ended = job["asked"] > 2
        return {
            "id": number,
            "status": job["ends"] if ended else "running",
            "event_processing_finished": job["asked"] > 3,
        }

    def events(self, number: int, after: int) -> dict[str, Any]:
        job = self.jobs[number - 1]
        # They come while it runs.
        known = job["events"][: job["asked"] * 2]
        rest = [one for one in known if one["counter"] > after]
        return {"count": len(rest), "next": "more" if len(rest) > PAGE else None, "results": rest[:PAGE]}


@contextmanager
def awx() -> Iterator[tuple[StandIn, str]]:
    """The server and its address."""
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, code: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _go(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                return 401, {"detail": "Authentication credentials were not provided."}
            url = urlsplit(self.path)
            parts = [unquote(part) for part in url.path.strip("/").split("/")]
            if parts[2] == "job_templates":
                return stand_in.launch(parts[3], json.loads(body["extra_vars"]), body.get("job_type", "run"))
            if stand_in.away > 0:
                stand_in.away -= 1
                return 502, {}
            number = int(parts[3])
            if parts[4:] == ["cancel"]:
                stand_in.cancelled.append(number)
                return 202, {}
            if parts[4:] == ["job_events"]:
                return 200, stand_in.events(number, int(parse_qs(url.query)["counter__gt"][0]))
            return 200, stand_in.state(number)

        def do_GET(self) -> None:
            self._answer(*self._go({}))

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            self._answer(*self._go(json.loads(self.rfile.read(size) or b"{}")))

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield stand_in, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
