"""A model in this process, through llama.cpp: no key, no server, no network."""

__all__: list[str] = []
