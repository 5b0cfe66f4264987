class PlayContext:
    remote_addr: str
    timeout: int
    password: str
    become: bool | None
    become_method: str | None
    become_user: str | None
    become_pass: str
    def copy(self) -> PlayContext: ...
