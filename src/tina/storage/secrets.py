"""Keys from the environment, or given for one call."""

import re
from collections.abc import Mapping

from tina.domain.failures import InvalidInputFailure
from tina.domain.secret import Secret, variable_for

# Visible ASCII. RFC 9110, section 5.5 would let a header hold more, but no vendor's
# key does: a blank or an umlaut in it comes from a copy that went wrong.
_KEY = re.compile(r"[!-~]+")


class EnvironmentSecretStore:
    """Fulfils `SecretStore`: the key of `openai` is in OPENAI_API_KEY, and so on."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def find(self, name: str) -> Secret | None:
        """The key of that name; None if its variable is unset or blank.

        Raises:
            InvalidInputFailure: the value can be no key; the message does not show it.
        """
        variable = variable_for(name)
        return _read(self._environment.get(variable, ""), told_as=variable)


class GivenSecretStore:
    """Fulfils `SecretStore`: one key, whoever asks; for a call that names its key."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def find(self, name: str) -> Secret | None:
        """The key, for any name.

        Raises:
            InvalidInputFailure: it can be no key; the message does not show it.
        """
        return _read(self._key, told_as="--key")


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
