# It ships no types: what the scenarios use of it, and nothing else.
from .host import Host as Host

def get_host(hostspec: str) -> Host: ...
