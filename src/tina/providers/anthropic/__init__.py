"""Anthropic's Messages, spoken by Anthropic and, in part, by other servers."""

__all__: list[str] = []
