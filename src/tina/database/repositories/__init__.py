"""The repositories of the ports, on the engine."""

__all__: list[str] = []
