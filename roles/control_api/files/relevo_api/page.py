# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: static files, which hold nothing of the clusters. The page asks for a token."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from .service import Service

FOLDER = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
#: Nothing from anywhere else, and nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_routes(_service: Service) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def serve(path: str, file: Path) -> None:
        headers = {"Content-Security-Policy": POLICY}

        @router.get(path, name=f"page_{file.name}")
        async def static() -> Response:
            return FileResponse(file, media_type=TYPES[file.suffix], headers=headers)

    serve("/ui", FOLDER / "page.html")
    for file in sorted(FOLDER.iterdir()):
        serve(f"/ui/{file.name}", file)
    return router
