# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: routes, and what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from .documents import with_problem_schema
from .guard import Guard
from .page import page_routes
from .problems import ProblemError, as_response, refused_by_framework, refused_by_schema
from .routes_health import health_routes
from .routes_legacy import legacy_routes
from .routes_v1 import cluster_routes, job_routes, operation_routes
from .service import Service
from .settings import Settings

VERSION = "1"
DESCRIPTION = (
    "Starts the playbooks of relevo.postgres, one changing operation at a time per cluster, and says what became "
    "of them."
)


def make_app(settings: Settings, settings_file: Path) -> FastAPI:
    service = Service(settings, settings_file)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work) for work in (service.watcher.run(), service.check_backups())]
        await service.look_back()
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # The pages of the framework would load their code from elsewhere.
    app = FastAPI(
        title="Relevo control API",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_exception_handler(ProblemError, as_response)
    app.add_exception_handler(HTTPException, refused_by_framework)
    app.add_exception_handler(RequestValidationError, refused_by_schema)
    # Health first, since each route before it is tried before it.
    for routes in (health_routes, legacy_routes, cluster_routes, operation_routes, job_routes, page_routes):
        app.include_router(routes(service))
    app.add_middleware(Guard, settings=settings)
    app.state.service = service

    document = with_problem_schema(
        get_openapi(title=app.title, version=VERSION, description=DESCRIPTION, routes=app.routes)
    )

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(service.needs("read"))])
    async def openapi() -> dict[str, Any]:
        return document

    return app
