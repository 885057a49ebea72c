"""What an answer says, in words that Tina and the vendors' SDKs have in common."""

from typing import NamedTuple

import msgspec

from tina.domain.chat import StopReason


class Call(NamedTuple):
    """`arguments` are read if they are JSON: an SDK may write them anew."""

    call_id: str
    name: str
    arguments: object


class Tokens(NamedTuple):
    """What went in includes what was cached; None where nothing is said."""

    went_in: int | None = None
    came_out: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


class Heard(NamedTuple):
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    tokens: Tokens = Tokens()
    stop: StopReason | None = None
    error: str | None = None
    """Tina's kind of failure, or the name of the SDK's exception class."""


class Difference(NamedTuple):
    """Of one field: what the SDK says, what Tina says."""

    sdk: object
    tina: object


SAME_ERRORS = {
    "APIConnectionError": "connection",
    "APITimeoutError": "timeout",
    "AuthenticationError": "auth",
    "BadRequestError": "invalid_request",
    "ContentTooLargeError": "too_large",
    "GatewayTimeoutError": "timeout",
    "InternalServerError": "server",
    "NotFoundError": "model_not_found",
    "OverloadedError": "overloaded",
    "PaymentRequiredError": "billing",
    "PermissionDeniedError": "permission",
    "RateLimitError": "rate_limit",
    "UnprocessableEntityError": "invalid_request",
}
"""The SDKs' exception classes, and the kinds of failure that mean the same."""


def compare(sdk: Heard, tina: Heard) -> dict[str, Difference]:
    """The fields in which they differ; if both fail, only how."""
    if sdk.error is not None and tina.error is not None:
        is_same = SAME_ERRORS.get(sdk.error) == tina.error
        return {} if is_same else {"error": Difference(sdk.error, tina.error)}
    return {
        field: Difference(theirs, own)
        for field, theirs, own in zip(Heard._fields, sdk, tina, strict=True)
        if theirs != own
    }


def read_arguments(text: str) -> object:
    try:
        return msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return text
