from typing import Any

class CallbackBase:
    def __init__(self, display: Any = None, options: Any = None) -> None: ...
