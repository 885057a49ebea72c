"""The Responses API: OpenAI's own, and that of servers which speak it after OpenAI."""

__all__: list[str] = []
