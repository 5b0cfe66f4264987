class PlayContext:
    remote_addr: str
    timeout: int
    password: str
    def copy(self) -> PlayContext: ...
