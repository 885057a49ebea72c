"""Values, events, failures and ports. Knows the standard library and msgspec only."""

__all__: list[str] = []
