"""The port that llama.cpp opens: for what the binding has no call for.

It is on the loopback address, wants a key that only Tina knows, and is asked from the
engine's thread, which may wait. Its answers were seen to take 1 to 8 ms, also while the
model speaks.

Source: llama.cpp, the server's documentation, "GET /props", "POST
/v1/chat/completions/input_tokens".
"""

from urllib.parse import urlsplit

from tina.domain.failures import ConnectionFailure, ProtocolFailure
from tina.domain.secret import Secret
from tina.providers.errors import failure_for_response
from tina.providers.lenient import count_of, is_mapping, read_json

_TIMEOUT_S = 10.0
_OK = 200


class Port:
    """Asks; each call blocks, and its connection is closed with it."""

    def __init__(self, address: str, key: Secret) -> None:
        """Make it.

        Args:
            address: of the server, such as `http://127.0.0.1:8080`.
            key: that it wants.
        """
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._key = key

    def count_tokens(self, body: str) -> int:
        """How many tokens the prompt of a chat completion has.

        Raises:
            ProviderFailure: the engine refuses `body`, or does not answer.
        """
        said = self._ask("POST", "/v1/chat/completions/input_tokens", body)
        count = count_of(said, "input_tokens")
        if count is None:
            raise ProtocolFailure("The local engine did not say how long the text is.")
        return count

    def can_call_tools(self) -> bool:
        """Whether the model's template has a place for tools; True if it is silent.

        Raises:
            ProviderFailure: the engine does not answer.
        """
        said = self._ask("GET", "/props", None)
        talents = said.get("chat_template_caps") if is_mapping(said) else None
        return not (is_mapping(talents) and talents.get("supports_tools") is False)

    def _ask(self, method: str, path: str, body: str | None) -> object:
        # Imported in the engine's thread, when it is needed: it takes a while.
        from http.client import HTTPConnection, HTTPException

        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        headers = {
            "Authorization": f"Bearer {self._key.reveal()}",
            "Content-Type": "application/json",
        }
        try:
            connection.request(
                method, path, None if body is None else body.encode(), headers
            )
            response = connection.getresponse()
            status, answer = response.status, response.read()
        except (OSError, HTTPException) as error:
            raise ConnectionFailure(
                "The local engine did not answer. Try again."
            ) from error
        finally:
            connection.close()
        if status != _OK:
            raise failure_for_response(status, answer, {}, model="", provider="local")
        return read_json(answer)
