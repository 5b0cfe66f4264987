from typing import Any

class PluginLoader:
    def get(self, name: str, *args: Any, **kwargs: Any) -> Any: ...

connection_loader: PluginLoader
