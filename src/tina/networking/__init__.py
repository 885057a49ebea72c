"""HTTP and its streams: what several providers need to reach a server."""

__all__: list[str] = []
