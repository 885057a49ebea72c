"""Where things lie on this machine, and the keys in its environment."""

__all__: list[str] = []
