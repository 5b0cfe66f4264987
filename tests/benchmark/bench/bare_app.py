"""The least that a server of uvicorn can answer: the floor for what the control API tells load balancers."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, _receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    """200 without a body, whatever is asked."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    # As the API itself is served.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        access_log=False,
        log_level="warning",
    )
