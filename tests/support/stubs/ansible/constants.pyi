from typing import Any

class _Config:
    def get_config_value(self, config: str) -> Any: ...
    def get_plugin_vars(self, plugin_type: str, name: str) -> dict[str, Any]: ...

config: _Config
DEFAULT_TRANSPORT: str
DEFAULT_LOCAL_TMP: str
