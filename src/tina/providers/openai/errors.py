"""What an error means: a status and some JSON become one of Tina's failures.

Bodies are read leniently, since every server has its own shape. HTML is never
repeated; a message is one line without control characters, at most 500 characters.

Source: OpenAI API reference, "Error codes"; RFC 9110, section 10.2.3 (Retry-After);
and the errors of llama.cpp, vLLM, Ollama, OpenRouter and Groq.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import msgspec

from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
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
from tina.providers.openai.chunks import is_list, is_mapping, read_json
from tina.providers.openai.escapes import repair_escapes

_MOST_CHARS = 500
# Control characters, line separators, and those that reverse what people read.
_UNSHOWN = re.compile("[\0-\x20\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_MONEY = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)
_OVERFLOW = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_OVERFLOW_TEXT = re.compile(
    r"maximum context length|context length exceeded|available context size"
    r"|prompt is too long|exceeds? the (?:model's )?context window",
    re.IGNORECASE,
)
# llama.cpp answers 500 for these, and they are wrong the next time, too.
_MISTAKE_TEXT = re.compile(r"not supported|unsupported|failed to parse", re.IGNORECASE)
_STATUS_OF = {
    "authentication_error": 401,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "model_not_found": 404,
    "not_found_error": 404,
    "overloaded_error": 503,
    "permission_error": 403,
    "rate_limit_exceeded": 429,
    "unavailable_error": 503,
}
_KINDS: dict[int, tuple[type[ProviderFailure], str]] = {
    401: (
        AuthenticationFailure,
        "{provider} refused the key. Check {variable}: it may be mistyped or revoked.",
    ),
    402: (
        BillingFailure,
        "{provider} wants to be paid first. Look at the account's billing page.",
    ),
    403: (
        PermissionFailure,
        "{provider} does not allow this. Check what the key may do, and the region.",
    ),
    408: (TimeoutFailure, "{provider} gave up waiting for the request. Try again."),
    413: (
        TooLargeFailure,
        "The request is too large for {provider}. Leave out attachments or messages.",
    ),
    429: (
        RateLimitFailure,
        "{provider} takes no more requests just now. Wait a little, then try again.",
    ),
    503: (OverloadFailure, "{provider} is not ready. Try again in a moment."),
}
_SAME_AS = {498: 429, 529: 503}


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said, in one shape; empty where it was silent."""

    status: int
    message: str = ""
    code: str = ""
    type: str = ""
    prompt_tokens: int | None = None
    window_tokens: int | None = None

    @property
    def words(self) -> frozenset[str]:
        return frozenset({self.code, self.type})


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
    report = _read_body(status, body)
    failure = _failure(report, model=model, provider=provider)
    lowered = {name.lower(): value for name, value in headers.items()}
    failure.retry_after_s = _retry_after_s(lowered, now)
    failure.request_id = lowered.get("x-request-id")
    return failure


def failure_for_event(
    error: object, *, model: str, provider: str = "openai"
) -> ProviderFailure:
    """The failure that an `error` inside a stream means."""
    report = _read_error(500, error)
    number = int(report.code) if re.fullmatch("[45][0-9]{2}", report.code) else 0
    known = _STATUS_OF.get(report.code) or _STATUS_OF.get(report.type)
    report = msgspec.structs.replace(report, status=number or known or 500)
    return _failure(report, model=model, provider=provider)


def _failure(report: _Report, *, model: str, provider: str) -> ProviderFailure:
    kind, advice = _judge(report, model)
    text = advice.format(
        provider=provider, variable=variable_for(provider), model=repr(model)
    )
    if report.message:
        text = f"{text} It said: {report.message}"
    code = report.code or report.type or None
    return kind(text, status=report.status, code=code)


def _judge(report: _Report, model: str) -> tuple[type[ProviderFailure], str]:
    """The class, and the sentence that says what a person can do."""
    status = _SAME_AS.get(report.status, report.status)
    if report.words & _MONEY:
        return _KINDS[402]
    if _is_overflow(report):
        return ContextOverflowFailure, _overflow_advice(report)
    if status == 404:
        return _judge_missing(report, model)
    return _KINDS.get(status) or _judge_rest(report)


def _judge_rest(report: _Report) -> tuple[type[ProviderFailure], str]:
    status = report.status
    if status < 400:
        return ProtocolFailure, (
            f"{{provider}} answered with status {status}, which is no answer. "
            "Check the base URL."
        )
    if status >= 500:
        return _judge_breakdown(report)
    return InvalidRequestFailure, (
        f"{{provider}} cannot work with this request ({status}); sending it again "
        "will not help."
    )


def _judge_missing(report: _Report, model: str) -> tuple[type[ProviderFailure], str]:
    said = report.message.lower()
    is_model = "model" in said or (model and model.lower() in said)
    if is_model or "model_not_found" in report.words:
        return ModelNotFoundFailure, (
            "{provider} has no model {model}. `tina models list` shows what it offers."
        )
    return InvalidRequestFailure, (
        "There is nothing at this address of {provider} (404). Check the base URL: "
        "most end in /v1."
    )


def _judge_breakdown(report: _Report) -> tuple[type[ProviderFailure], str]:
    if report.status == 500 and _MISTAKE_TEXT.search(report.message):
        return InvalidRequestFailure, "{provider} cannot do what was asked."
    return ServerFailure, (
        f"{{provider}} broke down ({report.status}). Try again in a moment."
    )


def _is_overflow(report: _Report) -> bool:
    if report.words & _OVERFLOW:
        return True
    is_candidate = report.status in (400, 413, 422, 500)
    return is_candidate and bool(_OVERFLOW_TEXT.search(report.message))


def _overflow_advice(report: _Report) -> str:
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


def _read_body(status: int, body: bytes) -> _Report:
    text = body.decode("utf-8", "replace").strip()
    value = read_json(repair_escapes(text).encode())
    if value is None:
        is_markup = "<" in text
        return _Report(status=status, message="" if is_markup else _one_line(text))
    if is_list(value) and value:
        value = value[0]
    if is_mapping(value) and value.get("error"):
        value = value["error"]
    return _read_error(status, value)


def _read_error(status: int, error: object) -> _Report:
    if isinstance(error, str):
        return _Report(status=status, message=_one_line(error))
    if not is_mapping(error):
        return _Report(status=status)
    return _Report(
        status=status,
        message=_one_line(_message_of(error)),
        code=_one_line(_text(error.get("code"))),
        type=_one_line(_text(error.get("type"))),
        prompt_tokens=_number(error.get("n_prompt_tokens")),
        window_tokens=_number(error.get("n_ctx")),
    )


def _message_of(error: Mapping[str, object]) -> str:
    for name in ("message", "detail", "error"):
        value = error.get(name)
        if is_list(value) and value and is_mapping(value[0]):
            value = value[0].get("msg")
        if isinstance(value, str) and value:
            return value
    return ""


def _text(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _one_line(text: str) -> str:
    """Printable, short, and cut between words: half a key would not be masked."""
    line = _UNSHOWN.sub(" ", text).strip()
    if len(line) <= _MOST_CHARS:
        return line
    head, space, _ = line[: _MOST_CHARS - 1].rpartition(" ")
    return f"{head}{space}…"


def _retry_after_s(headers: Mapping[str, str], now: datetime | None) -> float | None:
    milliseconds = _positive(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = headers.get("retry-after")
    seconds = _positive(asked)
    if seconds is not None or asked is None or now is None:
        return seconds
    try:
        date = parsedate_to_datetime(asked)
    except ValueError:
        return None
    # A date with the zone `-0000` comes back naive; HTTP's dates are in UTC.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None
