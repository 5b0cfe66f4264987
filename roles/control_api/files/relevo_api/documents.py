# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the OpenAPI document says of refusals, once."""

from __future__ import annotations

from typing import Any

from .problems import MEDIA_TYPE, TITLES, Problem

#: What the guard may answer to any request.
ALWAYS = (408, 413, 421, 429)


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": TITLES[code], "content": content} for code in (*codes, *ALWAYS)}


def with_problem_schema(document: dict[str, Any]) -> dict[str, Any]:
    """Add what ``responses`` refers to, and say how one logs in."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(schema.pop("$defs", {}))
    schemas["Problem"] = schema
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, item in document["paths"].items():
        for operation in item.values():
            if path.startswith("/v1") or path == "/metrics":
                operation["security"] = [{"token": []}]
            if "422" in operation["responses"]:
                operation["responses"]["422"] = {"description": TITLES[422], "content": content}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document
