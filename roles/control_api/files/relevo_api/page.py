# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page: three static files, which hold nothing of the clusters. The page asks for a token."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from .service import Service

FOLDER = Path(__file__).with_name("page")
FILES = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
}
#: Nothing from anywhere else, and nothing inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_routes(_service: Service) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def serve(path: str, name: str, media_type: str) -> None:
        @router.get(f"/ui/{path}".rstrip("/"), name=f"ui_{name}")
        async def static() -> Response:
            return FileResponse(FOLDER / name, media_type=media_type, headers={"Content-Security-Policy": POLICY})

    for path, (name, media_type) in FILES.items():
        serve(path, name, media_type)
    return router
