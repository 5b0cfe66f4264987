"""A stand-in for AWX's REST API: no AWX, but an HTTP server with the endpoints that the modules of awx.awx use.

It can look up (filters, ``or__``, ``name__in``), page, create, update, associate, keep surveys, and forget what it does
not know, as AWX does: fields that an object does not have are ignored, secrets are shown as ``$encrypted$``. What it
refuses is in ``awx_rules``. It starts no jobs (``awx_jobs_stand_in`` does as if), knows no permissions but one token,
and holds everything in memory.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import awx_rules

TOKEN = "stand-in-token"
ENCRYPTED = "$encrypted$"
#: Small, so that every list is paged; AWX's own is 25.
PAGE_SIZE = 2
#: The fields of each kind, with the value of one that is not given; None: it refers to no object.
_ASK = dict.fromkeys((f"ask_{name}_on_launch" for name in ("job_type", "variables", "limit", "inventory")), False)
FIELDS: dict[str, dict[str, Any]] = {
    "organizations": {"description": ""},
    "teams": {"organization": None},
    "labels": {"organization": None},
    "execution_environments": {"description": "", "organization": None, "image": "", "pull": "", "credential": None},
    "credential_types": {"description": "", "kind": "", "inputs": {}, "injectors": {}, "managed": False},
    "credentials": {"description": "", "organization": None, "credential_type": None, "inputs": {}},
    "notification_templates": {
        "description": "",
        "organization": None,
        "notification_type": "",
        "notification_configuration": {},
        "messages": None,
    },
    "projects": {
        "description": "",
        "organization": None,
        "scm_type": "",
        "scm_url": "",
        "scm_branch": "",
        "scm_clean": False,
        "scm_update_on_launch": False,
        "scm_revision": "",
        "credential": None,
        "default_environment": None,
    },
    "inventories": {"description": "", "organization": None, "kind": "", "host_filter": None, "variables": ""},
    "inventory_sources": {
        "description": "",
        "inventory": None,
        "source": "",
        "source_project": None,
        "source_path": "",
        "overwrite": False,
        "overwrite_vars": False,
        "update_on_launch": False,
        "update_cache_timeout": 0,
    },
    "job_templates": {
        "description": "",
        "organization": None,
        "job_type": "run",
        "inventory": None,
        "project": None,
        "playbook": "",
        "execution_environment": None,
        "limit": "",
        "extra_vars": "",
        "timeout": 0,
        "survey_enabled": False,
        "allow_simultaneous": False,
        **_ASK,
    },
    "workflow_job_templates": {
        "description": "",
        "organization": None,
        "extra_vars": "",
        "survey_enabled": False,
        "allow_simultaneous": False,
        **_ASK,
    },
    "workflow_job_template_nodes": {
        "identifier": "",
        "workflow_job_template": None,
        "unified_job_template": None,
        "extra_data": {},
        "all_parents_must_converge": False,
    },
    "schedules": {"description": "", "rrule": "", "unified_job_template": None, "enabled": True, "extra_data": {}},
}
#: Which kind a field that names another object refers to, where it is not the field's own name.
REFERS = {
    "organization": "organizations", "inventory": "inventories", "project": "projects", "source_project": "projects",
    "execution_environment": "execution_environments", "default_environment": "execution_environments",
    "credential": "credentials", "credential_type": "credential_types",
    "workflow_job_template": "workflow_job_templates",
}  # fmt: skip
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
ASSOCIATED = {
    "credentials": "credentials", "labels": "labels", "notification_templates_error": "notification_templates",
    "success_nodes": "workflow_job_template_nodes", "failure_nodes": "workflow_job_template_nodes",
    "always_nodes": "workflow_job_template_nodes",
}  # fmt: skip
#: What a webhook's configuration has where nothing is given; the others are required (awx/main/notifications).
WEBHOOK = {"http_method": "POST", "disable_ssl_verification": False, "username": "", "password": ""}


class Refused(Exception):
    """AWX's answer 400."""


class StandIn:
    """The objects, and what AWX does with them. ``playbooks``: those of the project's repository."""

    def __init__(self, playbooks: set[str]) -> None:
        self.playbooks = playbooks
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in FIELDS}
        self.secrets: dict[int, dict[str, Any]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        self.links: dict[tuple[int, str], list[int]] = {}
        self.granted: dict[int, list[int]] = {}
        self.writes: list[str] = []
        self._next = 0
        self.lock = threading.Lock()
        self.create("organizations", {"name": "Default"})
        self.create("teams", {"name": "night shift", "organization": 1})
        # AWX brings it, and no user makes one of its kind.
        self._keep("credential_types", {"name": "Machine", "kind": "ssh", "managed": True, "inputs": {"fields": [
            {"id": "username"}, {"id": "ssh_key_data", "secret": True}]}})  # fmt: skip
        self.writes.clear()

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The object of that name, as a test looks at it."""
        [found] = [one for one in self.objects[kind].values() if one["name"] == name]
        return found

    def linked(self, kind: str, name: str, association: str) -> set[str]:
        """The names that an object is associated with."""
        ids = self.links.get((self.one(kind, name)["id"], association), [])
        return {self.objects[ASSOCIATED[association]][one]["name"] for one in ids}

    def create(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        same = [
            one
            for one in self.objects[kind].values()
            if kind != "workflow_job_template_nodes" and one["name"] == data["name"]
        ]
        if any(one.get("organization") == data.get("organization") for one in same):
            raise Refused(f"{kind} with this name already exists.")
        self._check(kind, {**FIELDS[kind], **data})
        return self._keep(kind, data)

    def update(self, kind: str, number: int, data: Mapping[str, Any]) -> dict[str, Any]:
        held = self.objects[kind][number]
        known = {name: value for name, value in data.items() if name == "name" or name in FIELDS[kind]}
        self._check(kind, {**held, **known})
        self._take(kind, held, known)
        self.writes.append(f"PATCH {kind} {held.get('name') or held.get('identifier')}")
        return held

    def _keep(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        self._next += 1
        held: dict[str, Any] = {"id": self._next, "type": kind.removesuffix("s").replace("inventorie", "inventory")}
        held["url"] = f"/api/v2/{kind}/{self._next}/"
        held.update(json.loads(json.dumps(FIELDS[kind])))
        if kind != "workflow_job_template_nodes":
            held["name"] = data["name"]
        self.objects[kind][self._next] = held
        self._take(kind, held, {name: value for name, value in data.items() if name in FIELDS[kind]})
        self.writes.append(f"POST {kind} {held.get('name') or held.get('identifier')}")
        return held

    def _take(self, kind: str, held: dict[str, Any], data: Mapping[str, Any]) -> None:
        held.update(awx_rules.as_kept(data))
        if kind == "credentials" and "inputs" in data:
            fields = self.objects["credential_types"][held["credential_type"]]["inputs"]["fields"]
            secret = {field["id"] for field in fields if field.get("secret")}
            self.secrets[held["id"]] = {**self.secrets.get(held["id"], {}), **data["inputs"]}
            held["inputs"] = {name: ENCRYPTED if name in secret else value for name, value in data["inputs"].items()}
        if kind == "notification_templates" and held["notification_type"] == "webhook":
            held["notification_configuration"] = {**WEBHOOK, **held["notification_configuration"]}
        if kind == "projects":
            held["scm_revision"] = "0" * 40

    def update_inventory(self, name: str, variables: Mapping[str, Any]) -> None:
        """What an update of an inventory does to its variables: those of the file's group "all" join them."""
        held = self.one("inventories", name)
        held["variables"] = json.dumps({**json.loads(held["variables"] or "{}"), **variables})

    def _check(self, kind: str, data: Mapping[str, Any]) -> None:
        found: list[str] = []
        if kind == "schedules":
            found = awx_rules.rrule_problems(data["rrule"]) + self._answers(data)
        elif kind == "workflow_job_template_nodes":
            found = self._answers(data)
        elif kind == "credential_types":
            found = awx_rules.credential_type_problems(data["kind"], data["inputs"], data["injectors"])
        elif kind == "credentials":
            fields = self.objects["credential_types"][data["credential_type"]]["inputs"]["fields"]
            found = [
                f"{name} is not a field" for name in data["inputs"] if name not in {field["id"] for field in fields}
            ]
        elif kind == "job_templates" and data["playbook"] not in self.playbooks:
            found = [f"Playbook {data['playbook']} not found for project."]
        elif kind == "notification_templates" and data["notification_type"] == "webhook":
            found = [
                f"Missing required fields: {name}"
                for name in ("url", "headers")
                if name not in data["notification_configuration"]
            ]
        if found:
            raise Refused(" ".join(found))

    def _answers(self, data: Mapping[str, Any]) -> list[str]:
        """Objections to what a schedule or node answers: to a template without a survey nothing can be answered."""
        survey = self.surveys.get(data["unified_job_template"] or 0, {})
        return [one for one in awx_rules.answer_problems(survey, data["extra_data"]) if "missing" not in one]

    def keep_survey(self, number: int, spec: Mapping[str, Any]) -> None:
        found = awx_rules.survey_problems(spec)
        if found:
            raise Refused(" ".join(found))
        self.writes.append(f"POST survey of {number}")
        self.surveys[number] = dict(spec)

    def shown(self, held: Mapping[str, Any]) -> dict[str, Any]:
        """An object with what AWX adds to it: related addresses, and the names of what it refers to."""
        summary: dict[str, Any] = {}
        for field, value in held.items():
            kind = REFERS.get(field)
            if field == "unified_job_template" and value:
                kind = next(one for one in UNIFIED if value in self.objects[one])
            if kind and isinstance(value, int):
                summary[field] = {"id": value, "name": self.objects[kind][value].get("name", "")}
        if held["type"] in ("job_template", "workflow_job_template"):
            summary["object_roles"] = {"execute_role": {"id": held["id"]}}
        nodes = {
            path: self.links.get((held["id"], path), [])
            for path in ("success_nodes", "failure_nodes", "always_nodes")
            if held["type"] == "workflow_job_template_node"
        }
        related = {"survey_spec": f"{held['url']}survey_spec/"}
        return {**held, **nodes, "related": related, "summary_fields": summary}

    def answer(
        self, method: str, parts: list[str], query: dict[str, str], data: dict[str, Any]
    ) -> tuple[int, Any] | None:
        """Status and body of what another stand-in answers besides (awx_jobs_stand_in.py); None for the others."""
        del method, parts, query, data
        return None

    def listed(self, kind: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        kinds = UNIFIED if kind == "unified_job_templates" else (kind,)
        held = [one for name in kinds for one in self.objects[name].values()]
        either = {name[4:]: value for name, value in query.items() if name.startswith("or__")}
        for name, value in query.items():
            if name in ("page", "page_size") or name.startswith("or__"):
                continue
            if name.endswith("__in"):
                held = [one for one in held if str(one.get(name[:-4])) in value.split(",")]
            else:
                held = [one for one in held if str(one.get(name)) == value]
        if either:
            held = [one for one in held if any(str(one.get(name)) == value for name, value in either.items())]
        return held


class Handler(BaseHTTPRequestHandler):
    """One request. The addresses are /api/v2/KIND/, /api/v2/KIND/ID/ and /api/v2/KIND/ID/WHAT/."""

    server: Server

    def log_message(self, *_arguments: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = json.loads(self.rfile.read(length) or "{}") if length else {}
        address = urlsplit(self.path)
        parts = [unquote(part) for part in address.path.removeprefix("/api/v2/").strip("/").split("/")]
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"detail": "Authentication credentials were not provided."})
            return
        with self.server.stand_in.lock:
            try:
                status, body = self._route(method, parts, dict(parse_qsl(address.query)), data)
            except Refused as refused:
                status, body = 400, {"error": str(refused), "detail": str(refused)}
            except KeyError:
                status, body = 404, {"detail": f"{method} {self.path} is not known to the stand-in."}
        self._send(status, body)

    def _route(self, method: str, parts: list[str], query: dict[str, str], data: dict[str, Any]) -> tuple[int, Any]:
        awx = self.server.stand_in
        if answered := awx.answer(method, parts, query, data):
            return answered
        kind = parts[0]
        if len(parts) == 1:
            if method == "POST":
                return 201, awx.shown(awx.create(kind, data))
            return 200, self._page(f"/api/v2/{kind}/", [awx.shown(one) for one in awx.listed(kind, query)], query)
        number = int(parts[1])
        if kind == "roles":
            return self._grant(method, number, data)
        held = awx.objects[kind][number]
        if len(parts) == 2:
            return 200, awx.shown(awx.update(kind, number, data) if method == "PATCH" else held)
        return self._below(method, held, parts[2], query, data)

    def _below(
        self, method: str, held: dict[str, Any], what: str, query: dict[str, str], data: dict[str, Any]
    ) -> tuple[int, Any]:
        awx = self.server.stand_in
        address = f"{held['url']}{what}/"
        if what == "survey_spec":
            if method == "POST":
                awx.keep_survey(held["id"], data)
                return 200, {}
            return 200, awx.surveys.get(held["id"], {})
        if what == "workflow_nodes":
            nodes = [
                one
                for one in awx.objects["workflow_job_template_nodes"].values()
                if one["workflow_job_template"] == held["id"]
            ]
            return 200, self._page(address, [awx.shown(one) for one in nodes], query)
        kind = ASSOCIATED[what]
        linked = awx.links.setdefault((held["id"], what), [])
        if method == "POST":
            awx.writes.append(f"associate {held.get('name') or held['identifier']} {what} {data}")
            if data.get("disassociate"):
                linked.remove(data["id"])
            else:
                linked.append(awx.objects[kind][data["id"]]["id"])
            return 204, None
        return 200, self._page(address, [awx.shown(awx.objects[kind][one]) for one in linked], query)

    def _grant(self, method: str, number: int, data: dict[str, Any]) -> tuple[int, Any]:
        awx = self.server.stand_in
        teams = awx.granted.setdefault(number, [])
        if method == "POST":
            awx.writes.append(f"grant {number}")
            teams.append(data["id"])
            return 204, None
        return 200, self._page(f"/api/v2/roles/{number}/teams/", [awx.objects["teams"][one] for one in teams], {})

    def _page(self, address: str, items: list[Any], query: Mapping[str, str]) -> dict[str, Any]:
        page = int(query.get("page", "1"))
        rest = "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in query.items() if name != "page")
        more = f"{address}?{rest}&page={page + 1}" if len(items) > page * PAGE_SIZE else None
        return {"count": len(items), "next": more, "results": items[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]}

    def _send(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """A server with the objects that it shows."""

    stand_in: StandIn


@contextmanager
def serving(stand_in: StandIn, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address at which a stand-in answers; ``tls``: with a certificate, as every AWX has one."""
    server = Server(("127.0.0.1", 0), Handler)
    server.stand_in = stand_in
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
