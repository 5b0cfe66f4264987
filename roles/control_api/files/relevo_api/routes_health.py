# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For load balancers, monitors and supervisors: short answers, without a body where there is nothing to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute

from .documents import responses
from .metrics import exposition
from .nodes import Question, answers, lag_limit
from .problems import error
from .service import Service

NODE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "It is"},
    401: {"description": "Who asks is not known"},
    404: {"description": "There is no such node"},
    422: {"description": "The lag is not a number of bytes"},
    503: {"description": "It is not, or that is not known"},
}


class Straight(APIRoute):
    """A route whose endpoint reads the request itself: what it declares is for the API's document.

    Working that out anew for each request takes longer than the answer, and load balancers ask all the time.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def health_routes(service: Service) -> APIRouter:
    router = APIRouter()
    owners = {node.name: cluster.name for cluster in service.settings.clusters for node in cluster.nodes}

    def judge(request: Request, question: Question) -> int:
        node: str = request.path_params["node"]
        lag = request.query_params.get("lag", "") if question == "replica" else ""
        if not service.access.may_ask_health(request):
            raise service.access.unknown("This address is none of control_api_health_from, and there is no token.")
        if node not in owners:
            return 404
        limit = lag_limit(lag) if lag else None
        if lag and limit is None:
            return 422
        view = service.watcher.fresh(owners[node])
        return 200 if view and answers(view, node, question, limit) else 503

    def serve(question: Question) -> None:
        async def ask(
            request: Request,
            _node: str = Path(alias="node", max_length=200),
            _lag: str = Query("", alias="lag", description="For replica: bytes, or 10MB, that it may lag at most."),
        ) -> Response:
            return Response(status_code=judge(request, question))

        for method in ("GET", "HEAD", "OPTIONS"):
            router.add_api_route(
                f"/nodes/{{node}}/{question}",
                ask,
                methods=[method],
                name=f"{question}_{method.lower()}",
                summary=f"Whether a node is {question} now",
                tags=["load balancers"],
                response_class=Response,
                responses=NODE_ANSWERS,
                route_class_override=Straight,
            )

    for question in ("primary", "replica", "read-only", "health"):
        serve(question)

    @router.get("/healthz", tags=["service"], summary="Whether this process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get(
        "/readyz",
        tags=["service"],
        summary="Whether the service can do its work",
        dependencies=[Depends(service.needs("read"))],
        responses=responses(401, 403, 503),
    )
    async def readyz() -> dict[str, str]:
        stale = [one.name for one in service.settings.clusters if not service.watcher.fresh(one.name)]
        if stale:
            raise error(
                503,
                f"Nothing is known of {', '.join(stale)} now. {service.watcher.problem}".strip(),
                check="watcher",
                wanted=f"a line of the watcher within {service.settings.fresh_s:g} s",
                command="ansible-playbook playbooks/api.yml",
            )
        return {"status": "ready"}

    @router.get(
        "/metrics",
        tags=["service"],
        summary="Metrics in Prometheus's text form",
        dependencies=[Depends(service.needs("read"))],
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses(401, 403)},
    )
    async def metrics() -> Response:
        return Response(
            await asyncio.to_thread(exposition, service), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router
