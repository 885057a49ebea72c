"""Doubles for tests: small and real, and held to the contracts of what they replace."""

__all__: list[str] = []
