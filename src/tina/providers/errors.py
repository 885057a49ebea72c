"""What an error means: a status and some JSON become one of Tina's failures.

The one place for all protocols: each server's words for a kind of trouble, and for each
kind a sentence that says what a person can do. The server's own words follow it.

Pure.

Source: Anthropic API reference, "Errors"; OpenAI API reference, "Error codes" and
"Responses", streaming; Ollama's API documentation, "Errors"; and what llama.cpp, vLLM,
OpenRouter and Groq send.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
    ConnectionFailure,
    ContextOverflowFailure,
    InvalidRequestFailure,
    ModelNotFoundFailure,
    OverloadFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
)
from tina.domain.secret import variable_for
from tina.networking.retry_after import read_retry_after, read_should_retry
from tina.providers.reports import Report, read_body, read_error

_SAID = " It said: "
_REQUEST_IDS = ("request-id", "x-request-id", "x-generation-id")

_MONEY = frozenset(
    {
        "billing_error",
        "billing_hard_limit_reached",
        "contract_spend_limit_reached",
        "credit_balance_exhausted",
        "enforced_spend_limit_reached",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
# Anthropic answers 400 with no word of its own for limits that the account's owner set.
_MONEY_TEXT = re.compile(
    r"credit balance is too low|reached your specified .{0,20}usage limits?",
    re.IGNORECASE,
)
_OVERFLOW = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_OVERFLOW_TEXT = re.compile(
    r"maximum context length|context length exceeded|available context size"
    r"|prompt is too long|maximum prompt length|input token count .{0,40}exceeds"
    r"|exceed(?:s|ed)? (?:the |max |maximum |model's )*context (?:window|limit|len)",
    re.IGNORECASE,
)
# llama.cpp and Ollama answer 500 for these, and they are wrong the next time, too.
_MISTAKE_TEXT = re.compile(
    r"not supported|unsupported|failed to parse|more system memory", re.IGNORECASE
)
_NOT_PULLED_TEXT = re.compile(r"model ['\"].{1,200}['\"] not found")  # Ollama
_STATUS_OF = {
    "api_error": 500,
    "authentication_error": 401,
    "billing_error": 402,
    "bio_policy": 400,
    "conflict_error": 409,
    "data_residency_mismatch": 400,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "misalignment_policy_violation": 400,
    "model_not_found": 404,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "previous_response_not_found": 400,
    "ramp_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
    "server_error": 500,
    "slow_down": 429,
    "timeout_error": 504,
    "unavailable_error": 503,
    "vector_store_timeout": 504,
    "websocket_connection_limit_reached": 503,
    "websocket_stream_limit_reached": 429,
}
_IMAGE_WORD = re.compile(r"(?:^|_)image(?:_|$)")

Kind = tuple[type[ProviderFailure], str]
"""A class, and the sentence that says what a person can do."""

_BILLING: Kind = (
    BillingFailure,
    "{provider} wants to be paid first, or a spending limit is reached. "
    "Look at the account's billing page.",
)
_LIMITED: Kind = (
    RateLimitFailure,
    "{provider} takes no more requests just now. Wait a little, then try again.",
)
_OVERLOADED: Kind = (
    OverloadFailure,
    "{provider} is not ready. Try again in a moment.",
)
_TOO_SLOW: Kind = (
    TimeoutFailure,
    "{provider} did not finish in time ({status}). Try again, or ask for less.",
)
_KINDS: dict[int, Kind] = {
    401: (
        AuthenticationFailure,
        "{provider} refused the key. Check {variable}: it may be mistyped or revoked.",
    ),
    402: _BILLING,
    403: (
        PermissionFailure,
        "{provider} does not allow this. Check what the key may do, and the region.",
    ),
    408: _TOO_SLOW,
    409: (
        InvalidRequestFailure,
        "{provider} is busy with another request that collides with this one (409). "
        "Try again in a moment.",
    ),
    413: (
        TooLargeFailure,
        "The request is too large for {provider}. Leave out attachments or messages.",
    ),
    429: _LIMITED,
    498: _LIMITED,
    499: (
        ConnectionFailure,
        "{provider} lost the request before it was answered. Try again.",
    ),
    503: _OVERLOADED,
    504: _TOO_SLOW,
    529: _OVERLOADED,
}
_MISSING: Kind = (
    InvalidRequestFailure,
    "There is nothing at this address of {provider} (404). Check the base URL.",
)
_MODEL_MISSING: Kind = (
    ModelNotFoundFailure,
    "{provider} has no model {model}. `tina models list` shows what it offers.",
)
_MODEL_NOT_PULLED: Kind = (
    ModelNotFoundFailure,
    "{provider} has no model {model}. Fetch it with `ollama pull`, or see what is "
    "there: `tina models list`.",
)
_MISTAKE: Kind = (
    InvalidRequestFailure,
    "{provider} cannot do what was asked; sending it again will not help.",
)
_REFUSED: Kind = (
    InvalidRequestFailure,
    "{provider} cannot work with this request ({status}); sending it again "
    "will not help.",
)
_BROKEN: Kind = (
    ServerFailure,
    "{provider} broke down ({status}). Try again in a moment.",
)
_NO_ANSWER: Kind = (
    ProtocolFailure,
    "{provider} answered with status {status}, which is no answer. Check the base URL.",
)


def failure_for_response(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    *,
    model: str,
    now: datetime | None = None,
    provider: str = "openai",
) -> ProviderFailure:
    """The failure that a response means.

    Args:
        status: of HTTP.
        body: of any kind.
        headers: names in any case.
        model: that was asked for.
        now: aware; without it a Retry-After that is a date is ignored.
        provider: as people know it; it names the key's variable.
    """
    report = read_body(body).with_status(status)
    failure = _failure(report, model=model, provider=provider)
    lowered = {name.lower(): value for name, value in headers.items()}
    failure.retry_after_s = read_retry_after(headers, now=now)
    failure.should_retry = read_should_retry(headers)
    ids = (lowered.get(name) for name in _REQUEST_IDS)
    failure.request_id = next(filter(None, ids), None) or failure.request_id
    return failure


def failure_for_event(
    error: object, *, model: str, provider: str = "openai"
) -> ProviderFailure:
    """The failure that an error inside a stream means.

    Args:
        error: the error object, or the whole event that holds it.
        model: that was asked for.
        provider: as people know it; it names the key's variable.
    """
    report = read_error(error)
    if not report.status:
        report = report.with_status(_status_of(report))
    return _failure(report, model=model, provider=provider)


def server_words(failure: ProviderFailure) -> str:
    """What the server itself said, without Tina's sentence; empty if nothing."""
    return failure.message.partition(_SAID)[2]


def _status_of(report: Report) -> int:
    """The status that HTTP would have had: each kind of error has a word of its own."""
    for word in (report.code, report.type):
        if word in _STATUS_OF:
            return _STATUS_OF[word]
        if _IMAGE_WORD.search(word):
            return 400
    return 500


def _failure(report: Report, *, model: str, provider: str) -> ProviderFailure:
    kind, advice = _judge(report, model)
    text = advice.format(
        provider=provider,
        variable=variable_for(provider),
        model=repr(model),
        status=report.status,
    )
    if report.message:
        text = f"{text}{_SAID}{report.message}"
    failure = kind(
        text,
        status=report.status,
        code=report.code or report.type or None,
        request_id=report.request_id or None,
    )
    failure.param = report.param or None
    return failure


def _judge(report: Report, model: str) -> Kind:
    if _is_about_money(report):
        return _BILLING
    if _is_overflow(report):
        return ContextOverflowFailure, _overflow_advice(report)
    if report.status == 404:
        return _judge_missing(report, model)
    return _KINDS.get(report.status) or _judge_rest(report)


def _judge_rest(report: Report) -> Kind:
    if report.status < 400:
        return _NO_ANSWER
    if report.status < 500:
        return _REFUSED
    if report.status == 500 and _MISTAKE_TEXT.search(report.message):
        return _MISTAKE
    return _BROKEN


def _is_about_money(report: Report) -> bool:
    if report.words & _MONEY:
        return True
    return report.status == 400 and bool(_MONEY_TEXT.search(report.message))


def _is_overflow(report: Report) -> bool:
    if report.words & _OVERFLOW:
        return True
    is_candidate = report.status in (400, 413, 422, 500)
    return is_candidate and bool(_OVERFLOW_TEXT.search(report.message))


def _overflow_advice(report: Report) -> str:
    needed, window = report.prompt_tokens, report.window_tokens
    sizes = (
        f" ({needed} tokens, and its window holds {window})"
        if needed is not None and window is not None
        else ""
    )
    return (
        f"The conversation is too long for {{model}}{sizes}. Start a new one, "
        "or use a model with a larger window."
    )


def _judge_missing(report: Report, model: str) -> Kind:
    said = report.message.lower()
    if _NOT_PULLED_TEXT.match(said):
        return _MODEL_NOT_PULLED
    is_named = "model" in said or (model != "" and model.lower() in said)
    return _MODEL_MISSING if is_named or "model_not_found" in report.words else _MISSING
