"""Chat Completions: the protocol that nearly every server speaks."""

__all__: list[str] = []
