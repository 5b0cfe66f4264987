# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three endpoints of the system before this one. Their answers are a contract, word for word."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from .documents import responses
from .operations import Operation
from .problems import ProblemError
from .service import Service

WORDS = {"failover": "Failover ejecutado correctamente", "failback": "Failback ejecutado correctamente"}
INDEX = {
    "message": "API de Control PostgreSQL HA",
    "endpoints": {"failover": "POST /failover", "failback": "POST /failback"},
}


class Done(BaseModel):
    status: str
    message: str


def legacy_routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["legacy"])

    @router.get("/", summary="What there is", responses=responses(401, 403))
    async def index(request: Request) -> dict[str, Any]:
        service.access.require_legacy(request, "read")
        return INDEX

    def serve(name: str) -> None:
        operation = service.operations[name]

        @router.post(
            f"/{name}",
            name=f"legacy_{name}",
            summary=f"{operation.does}; answers when it has ended",
            response_model=Done,
            responses={202: {"description": "Started; see Location"}, **responses(400, 401, 403, 404, 409, 412, 500)},
        )
        async def act(
            request: Request,
            cluster: str = Query("", description="The cluster, where there are several."),
            wait: bool = Query(True, description="Whether to answer only when the operation has ended."),
        ) -> Any:
            return await run(service, operation, request, cluster, wait)

    for name in WORDS:
        if name in service.operations:
            serve(name)
    return router


async def run(service: Service, operation: Operation, request: Request, cluster: str, wait: bool) -> Any:
    caller = service.access.require_legacy(request, "operate")
    chosen = service.only_cluster(cluster)
    job = await service.begin(operation, chosen.name, {}, caller, request.headers.get("idempotency-key", ""))
    if not wait:
        return JSONResponse(job.model_dump(exclude_none=True), 202, headers={"Location": job.href})
    job = await service.wait(job)
    if job.problem:
        raise ProblemError(job.problem, {"Location": job.href})
    return Done(status="success", message=WORDS[operation.name])
