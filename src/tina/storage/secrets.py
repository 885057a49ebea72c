"""Keys from the environment."""

import re
from collections.abc import Mapping

from tina.domain.failures import InvalidInputFailure
from tina.domain.secret import Secret

_NO_NAME = re.compile(r"[^A-Z0-9]+")
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
        value = self._environment.get(variable, "").strip()
        if not value:
            return None
        if not _KEY.fullmatch(value):
            raise InvalidInputFailure(
                f"{variable} holds characters that no key has, such as a line break, "
                "a blank or a typographic quote. Copy the key again."
            )
        return Secret(value)


def variable_for(name: str) -> str:
    """The name of the environment variable: `my-server` → `MY_SERVER_API_KEY`."""
    return f"{_NO_NAME.sub('_', name.upper())}_API_KEY"
