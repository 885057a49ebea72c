"""Keys from the environment, or given for one call."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from tina.domain.failures import InvalidInputFailure
from tina.domain.ports import SecretStore
from tina.domain.secret import Secret, variable_for

# Visible ASCII. RFC 9110, section 5.5 would let a header hold more, but no vendor's
# key does: a blank or an umlaut in it comes from a copy that went wrong.
_KEY = re.compile(r"[!-~]+")


class EnvironmentSecretStore:
    """Fulfils `SecretStore` from environment variables.

    Args:
        environment: of the process.
        variables: for each name those that may hold its key, the first that is set
            counts. A name that is not in here has its key in `NAME_API_KEY`; one with
            no variables has none.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        variables: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> None:
        self._environment = environment
        self._variables = variables

    async def find(self, name: str) -> Secret | None:
        """The key of that name; None if its variables are unset or blank.

        Raises:
            InvalidInputFailure: the value can be no key; the message does not show it.
        """
        for variable in self._variables.get(name, (variable_for(name),)):
            key = _read(self._environment.get(variable, ""), told_as=variable)
            if key is not None:
                return key
        return None


class GivenSecretStore:
    """Fulfils `SecretStore`: a key for one name; the others have their own.

    For a call that names its key. One that is fallen back to must not get the key of
    another.
    """

    def __init__(self, key: str, *, name: str, others: SecretStore) -> None:
        self._key = key
        self._name = name
        self._others = others

    async def find(self, name: str) -> Secret | None:
        """The key, for its own name, and for nobody else.

        Raises:
            InvalidInputFailure: it can be no key; the message does not show it.
        """
        if self._name == name:
            return _read(self._key, told_as="--key")
        return await self._others.find(name)


def _read(value: str, *, told_as: str) -> Secret | None:
    value = value.strip()
    if not value:
        return None
    if not _KEY.fullmatch(value):
        raise InvalidInputFailure(
            f"{told_as} holds characters that no key has, such as a line break, "
            "a blank or a typographic quote. Copy the key again."
        )
    return Secret(value)
