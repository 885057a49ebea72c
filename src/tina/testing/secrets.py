"""Keys that a test makes up."""

from tina.domain.secret import Secret


class FakeSecretStore:
    """Fulfils `SecretStore`: the keys that it was made with, by provider."""

    def __init__(self, **keys: str) -> None:
        self._keys = keys

    async def find(self, name: str) -> Secret | None:
        key = self._keys.get(name)
        return None if key is None else Secret(key)
