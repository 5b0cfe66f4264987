# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API proper: clusters, operations, jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel

from .access import Caller
from .documents import responses
from .jobs import Job, State
from .operations import BACKUPS, DRILL, Operation
from .problems import error
from .service import POLL_S, Service
from .settings import Cluster

#: Seconds after which a stream says that it is still there.
HEARTBEAT_S = 10
Name = Annotated[str, Path(max_length=200, description="The name of the cluster.")]
JobName = Annotated[str, Path(max_length=64, description="The job's id.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many to return at most.")]
Offset = Annotated[int, Query(ge=0, le=1000000, description="How many to pass over.")]
Age = Annotated[float | None, Query(ge=0, le=3600, description="How many seconds old the answer may be.")]


class Page(BaseModel):
    """``total`` counts what there is, not what is on this page."""

    total: int
    limit: int
    offset: int
    items: list[dict[str, Any]]


def cluster_routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["clusters"])
    reader = Depends(service.needs("read"))

    @router.get("/clusters", summary="The clusters, and who is primary now", responses=responses(401, 403))
    async def clusters(_caller: Caller = reader) -> dict[str, Any]:
        return {"clusters": [live(service, one) for one in service.settings.clusters]}

    @router.get("/me", tags=["service"], summary="Whose token this is, and its scope", responses=responses(401, 403))
    async def me(caller: Caller = reader) -> dict[str, str]:
        return {"name": caller.name, "scope": caller.scope}

    @router.get("/clusters/{cluster}", summary="What status.yml says", responses=responses(401, 403, 404, 409, 503))
    async def status(cluster: Name, max_age: Age = None, _caller: Caller = reader) -> dict[str, Any]:
        chosen = service.cluster(cluster)
        answer = await service.status(chosen.name, service.settings.status_s if max_age is None else max_age)
        return {**answer.document, "age_s": answer.age_s}

    @router.get("/clusters/{cluster}/nodes", summary="Roles and lag, live", responses=responses(401, 403, 404))
    async def nodes(cluster: Name, _caller: Caller = reader) -> dict[str, Any]:
        return live(service, service.cluster(cluster))

    @router.get(
        "/clusters/{cluster}/backups", summary="The catalog, newest first", responses=responses(401, 403, 404, 409, 503)
    )
    async def backups(
        cluster: Name,
        limit: Limit = 50,
        offset: Offset = 0,
        type: Annotated[str, Query(max_length=40, description="completo, incremental or diferencial.")] = "",
        primary: Annotated[str, Query(max_length=200, description="Taken from this node.")] = "",
        since: Annotated[str, Query(max_length=10, description="Not before this day, 2026-11-30.")] = "",
        before: Annotated[str, Query(max_length=10, description="Before this day, 2026-11-30.")] = "",
        max_age: Age = None,
        _caller: Caller = reader,
    ) -> Page:
        chosen = service.cluster(cluster)
        answer = await service.views.get(BACKUPS, chosen.name, 30 if max_age is None else max_age)
        wanted = {"tipo_backup": type, "maestro_usado": primary}
        found = [
            one
            for one in answer.document
            if all(not value or one.get(name) == value for name, value in wanted.items())
            and since <= one["fecha"]
            and (not before or one["fecha"] < before)
        ]
        found.sort(key=lambda one: (one["fecha"], one["hora"]), reverse=True)
        return Page(total=len(found), limit=limit, offset=offset, items=found[offset : offset + limit])

    if (service.settings.playbooks / DRILL).exists():

        @router.get(
            "/clusters/{cluster}/drills",
            summary="The last drill of each backup, newest first",
            responses=responses(401, 403, 404, 409, 503),
        )
        async def drills(cluster: Name, limit: Limit = 50, offset: Offset = 0, _caller: Caller = reader) -> Page:
            answer = await service.views.get(BACKUPS, service.cluster(cluster).name, 30)
            tried = [one for one in answer.document if one.get("verificado")]
            tried.sort(key=lambda one: str(one["verificado"]), reverse=True)
            return Page(total=len(tried), limit=limit, offset=offset, items=tried[offset : offset + limit])

    @router.get(
        "/clusters/{cluster}/window",
        summary="Between which moments every one can be recovered",
        responses=responses(401, 403, 404, 409, 503),
    )
    async def window(cluster: Name, max_age: Age = None, _caller: Caller = reader) -> dict[str, Any]:
        chosen = service.cluster(cluster)
        answer = await service.status(chosen.name, service.settings.status_s if max_age is None else max_age)
        codes = ("archive-hole", "archive-hole-past")
        holes = [one for one in answer.document["problems"] if one["code"] in codes]
        known = answer.document["backups"]["recovery_window"]
        return {"cluster": chosen.name, "window": known, "holes": holes, "age_s": answer.age_s}

    return router


def live(service: Service, cluster: Cluster) -> dict[str, Any]:
    """What the watcher says of a cluster. ``known`` is false when that is too old to say anything."""
    view = service.watcher.fresh(cluster.name)
    return {
        "name": cluster.name,
        "preferred": cluster.preferred,
        "known": view is not None,
        "primary": view.primaries[0] if view and len(view.primaries) == 1 else None,
        "primaries": view.primaries if view else [],
        "nodes": view.nodes if view else [{"name": node.name, "role": None} for node in cluster.nodes],
    }


def operation_routes(service: Service) -> APIRouter:
    """A path for each operation whose playbook is there."""
    router = APIRouter(prefix="/v1", tags=["operations"])
    for operation in service.operations.values():
        serve(router, service, operation)

    @router.get("/operations", summary="The operations that this server has", responses=responses(401, 403))
    async def operations(_caller: Caller = Depends(service.needs("read"))) -> dict[str, Any]:  # noqa: B008
        return {"operations": [described(one) for one in service.operations.values()]}

    return router


def described(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "does": operation.does,
        "playbook": operation.playbook,
        "variables": [
            {"name": one.name, "kind": one.kind, "choices": list(one.choices), "description": one.description}
            for one in operation.variables
        ],
    }


def serve(router: APIRouter, service: Service, operation: Operation) -> None:
    body = operation.body
    outcome: dict[int | str, dict[str, Any]] = {
        200: {"description": "The plan, with ?plan=true", "content": {"application/json": {"schema": {}}}},
        202: {"description": "Started", "model": Job, "headers": {"Location": {"schema": {"type": "string"}}}},
        **responses(401, 403, 404, 409, 412, 428, 500, 503),
    }

    async def act(
        request: Request,
        cluster: Name,
        asked: Any = None,
        plan: Annotated[bool, Query(description="Show what would be done, and change nothing.")] = False,
        idempotency_key: Annotated[str, Header(max_length=200)] = "",
    ) -> Any:
        caller = service.access.require(request, "read" if plan else "operate")
        chosen = service.cluster(cluster)
        values = asked.model_dump(exclude_none=True) if asked else {}
        if plan:
            return JSONResponse(await service.views.plan(operation, chosen.name, values))
        service.access.demand(caller, operation.scope(values))
        given = values.get("confirm") or ""
        if operation.must_confirm(values) and given != chosen.name:
            raise error(
                428,
                f"This can lose data of the cluster {chosen.name}, and "
                f"{f'what was confirmed is {given}' if given else 'nobody has confirmed it'}.",
                check="confirm",
                found=given or "no confirmation",
                wanted=f'"confirm": "{chosen.name}" in the body; see the plan first, with ?plan=true',
                command=f"ansible-playbook playbooks/{operation.playbook} -e cluster={chosen.name} -e plan=text",
            )
        job = await service.begin(operation, chosen.name, values, caller, idempotency_key)
        return JSONResponse(job.model_dump(exclude_none=True), 202, headers={"Location": job.href})

    # FastAPI reads the body's shape from here.
    act.__annotations__["asked"] = body | None
    router.add_api_route(
        f"/clusters/{{cluster}}/{operation.name}",
        act,
        methods=["POST"],
        name=operation.name,
        status_code=202,
        response_model=None,
        summary=operation.does,
        description=f"Runs `{operation.playbook}`.",
        responses=outcome,
    )


def job_routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["jobs"])
    reader = Depends(service.needs("read"))

    def job_or_404(name: str) -> Job:
        job = service.jobs.find(name)
        if job is None:
            raise error(404, f"There is no job {name}.", check="job", found=name, wanted="an id that /v1/jobs lists")
        service.ask_about(job)
        return job

    @router.get("/jobs", summary="The jobs, newest first", responses=responses(401, 403))
    async def jobs(
        limit: Limit = 50,
        offset: Offset = 0,
        cluster: Annotated[str, Query(max_length=200)] = "",
        state: State | None = None,
        _caller: Caller = reader,
    ) -> Page:
        # Hundreds of files, while load balancers wait for an answer.
        total, found = await asyncio.to_thread(service.jobs.page, limit, offset, cluster, state)
        return Page(total=total, limit=limit, offset=offset, items=[one.model_dump(exclude_none=True) for one in found])

    @router.get("/jobs/{job}", summary="A job", response_model_exclude_none=True, responses=responses(401, 403, 404))
    async def job(job: JobName, _caller: Caller = reader) -> Job:
        return job_or_404(job)

    @router.get(
        "/jobs/{job}/log",
        summary="What its play printed",
        response_class=PlainTextResponse,
        responses=responses(401, 403, 404),
    )
    async def log(job: JobName, _caller: Caller = reader) -> PlainTextResponse:
        return PlainTextResponse(service.jobs.log(job_or_404(job).id))

    @router.get(
        "/jobs/{job}/events",
        summary="Its events as they come, as server-sent events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **responses(401, 403, 404)},
    )
    async def stream(
        job: JobName,
        last_event_id: Annotated[int, Header(ge=0, le=10**9, description="The last that was seen.")] = 0,
        _caller: Caller = reader,
    ) -> StreamingResponse:
        return StreamingResponse(events_of(service, job_or_404(job), last_event_id), media_type="text/event-stream")

    return router


async def events_of(service: Service, job: Job, last: int) -> AsyncIterator[str]:
    """The events after ``last``, then those to come; ``end`` with the job closes the stream."""
    quiet = 0.0
    while True:
        # In this order, so that what came between the two is not missed.
        now = service.jobs.find(job.id) or job
        for event in service.jobs.events_after(job.id, last):
            last, quiet = event["id"], 0.0
            yield f"id: {last}\nevent: {event['kind']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
        if now.state != "running":
            yield f"event: end\ndata: {now.model_dump_json(exclude_none=True)}\n\n"
            return
        if quiet >= HEARTBEAT_S:
            quiet = 0.0
            yield ": still running\n\n"
        await asyncio.sleep(POLL_S)
        quiet += POLL_S
