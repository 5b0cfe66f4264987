# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every refusal and failure as a problem document (RFC 9457), with what was found, what was wanted and what helps."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Suggestion(BaseModel):
    command: str


class Problem(BaseModel):
    """``check`` is what was looked at, ``found`` and ``wanted`` are words for people, ``suggestion`` what to type."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    check: str
    found: str
    wanted: str
    suggestion: Suggestion
    holder: dict[str, Any] | None = None
    job: str | None = None


class ProblemError(Exception):
    """Raised anywhere below a request; the one boundary is ``as_response``."""

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.headers = headers or {}


TITLES = {
    400: "The request is not one that this API knows",
    401: "Who asks is not known",
    403: "Not allowed",
    404: "There is no such thing",
    405: "This path does not take that method",
    408: "The request took too long to arrive",
    409: "Another operation is under way",
    412: "A check refused the operation",
    413: "The request is too large",
    421: "The request came under a name that is not this server's",
    422: "The request is not one that this operation takes",
    428: "A confirmation is missing",
    429: "Too many requests",
    500: "The operation failed",
    503: "It is not known at the moment",
}
#: What helps where nothing else does; whoever answers knows the address.
SEE_DOCUMENT = "curl URL/openapi.json"


def problem(
    status: int, detail: str, *, check: str, found: str = "", wanted: str = "", command: str = "", **more: Any
) -> Problem:
    return Problem(
        title=TITLES.get(status, "It did not work"),
        status=status,
        detail=detail,
        check=check,
        found=found or detail,
        wanted=wanted,
        suggestion=Suggestion(command=command or SEE_DOCUMENT),
        **more,
    )


def error(status: int, detail: str, *, check: str, headers: dict[str, str] | None = None, **more: Any) -> ProblemError:
    """``problem`` as what is raised."""
    return ProblemError(problem(status, detail, check=check, **more), headers)


def response_of(one: Problem, url: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """``url``: where the service answers."""
    content = one.model_dump(exclude_none=True)
    if one.suggestion.command == SEE_DOCUMENT:
        content["suggestion"]["command"] = SEE_DOCUMENT.replace("URL", url)
    return JSONResponse(content, status_code=one.status, headers=headers, media_type=MEDIA_TYPE)


def _url(request: Request) -> str:
    return str(request.app.state.service.settings.url)


async def as_response(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, ProblemError)
    return response_of(failure.problem, _url(request), failure.headers)


async def refused_by_framework(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, HTTPException)
    words = {404: f"There is no path {request.url.path}.", 405: f"{request.url.path} does not take {request.method}."}
    one = problem(
        failure.status_code,
        words.get(failure.status_code, str(failure.detail)),
        check="path",
        wanted="a path and a method of the API's document",
    )
    return response_of(one, _url(request), dict(failure.headers or {}))


async def refused_by_schema(request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, RequestValidationError)
    first = failure.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    detail = f"{where}: {first['msg']}."
    one = problem(422, detail, check="request", wanted="values that the API's document describes")
    return response_of(one, _url(request))
