"""Ollama's own protocol, for a server on this machine and for Ollama's cloud."""

__all__: list[str] = []
