"""Adapters that talk to models; one folder per protocol."""

__all__: list[str] = []
