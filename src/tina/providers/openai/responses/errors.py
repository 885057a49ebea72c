"""Errors of the Responses API: flat, nested, or in a response that failed. Pure.

Source: OpenAI API reference, "Responses", the `error` event; "WebSocket mode", errors.
"""

from collections.abc import Mapping

import msgspec

from tina.domain.failures import ProtocolFailure, ProviderFailure
from tina.providers.errors import failure_for_event, failure_for_response
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import is_mapping, read_json


def failure_in(data: str, *, model: str, provider: str) -> ProviderFailure:
    """The failure that an `error` event means, or a body with an `error` in it."""
    value = read_json(repair_escapes(data).encode())
    if not is_mapping(value):
        return failure_for_event(data, model=model, provider=provider)
    error, status = value.get("error"), value.get("status")
    headers = _headers_in(error)
    if headers and isinstance(status, int):
        body = msgspec.json.encode({"error": error})
        return failure_for_response(
            status, body, headers, model=model, provider=provider
        )
    # The type of the event says no more than that it is an error.
    said = {name: field for name, field in value.items() if name != "type"}
    return failure_for_event(said, model=model, provider=provider)


def unreadable(provider: str) -> ProtocolFailure:
    """What came is nothing that this protocol has."""
    return ProtocolFailure(
        f"{provider} sent something that is no part of a response. "
        "Check that the base URL is that of a server with the Responses API."
    )


def _headers_in(error: object) -> Mapping[str, str]:
    """Over a WebSocket, what would be headers of the answer stands in the error."""
    headers = error.get("headers") if is_mapping(error) else None
    if not is_mapping(headers):
        return {}
    return {name: value for name, value in headers.items() if isinstance(value, str)}
