from typing import Any

class PluginLoader:
    def get(self, name: str, *args: Any, **kwargs: Any) -> Any: ...

action_loader: PluginLoader
become_loader: PluginLoader
connection_loader: PluginLoader
lookup_loader: PluginLoader
test_loader: PluginLoader
