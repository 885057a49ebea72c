"""Words in what was said: the index, off the hot path, and how it is asked."""

__all__: list[str] = []
