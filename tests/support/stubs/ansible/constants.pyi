from typing import Any

class _Config:
    def get_config_value(self, config: str) -> Any: ...

config: _Config
