"""OpenAI's Chat Completions, spoken by OpenAI and by most other servers."""

__all__: list[str] = []
