from collections.abc import Mapping
from typing import Any

class LookupBase:
    def run(self, terms: list[Any], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Any]: ...
