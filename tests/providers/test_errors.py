import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tina.providers.errors import (
    failure_for_event,
    failure_for_response,
    server_words,
)

OVERFLOW = ContextOverflowFailure
RECORDINGS = Path(__file__).parents[1] / "recordings"
CAPTURES = {
    "err_503_loading": OverloadFailure,
    "err_auth_missing": AuthenticationFailure,
    "err_auth_wrong": AuthenticationFailure,
    "err_bad_json": InvalidRequestFailure,
    "err_bad_param_type": InvalidRequestFailure,
    "err_bad_response_format": InvalidRequestFailure,
    "err_bad_tool_schema": InvalidRequestFailure,
    "err_context_overflow_nonstream": ContextOverflowFailure,
    "err_empty_body": InvalidRequestFailure,
    "err_image_unsupported": InvalidRequestFailure,
    "err_missing_messages": InvalidRequestFailure,
    "err_resp_assistant_string_content": InvalidRequestFailure,
    "err_unknown_path": InvalidRequestFailure,
    "err_wrong_method": InvalidRequestFailure,
    "msg_err_auth_missing": AuthenticationFailure,
    "msg_err_bad_json": InvalidRequestFailure,
    "msg_err_unknown_path": InvalidRequestFailure,
    "resp_err_bad_json": InvalidRequestFailure,
    "resp_err_previous_response_id": InvalidRequestFailure,
    "resp_err_retrieve_unknown_path": InvalidRequestFailure,
}


def recorded_status(name: str) -> int:
    return int((RECORDINGS / f"{name}.headers.txt").read_text().split(" ")[1])


def test_every_recorded_refusal_is_in_the_table() -> None:
    found = {path.stem for path in RECORDINGS.glob("*err_*.json")}

    assert found == set(CAPTURES)


@pytest.mark.parametrize(("name", "kind"), CAPTURES.items())
def test_a_recorded_refusal_is_understood(
    name: str, kind: type[ProviderFailure]
) -> None:
    status = recorded_status(name)
    body = (RECORDINGS / f"{name}.json").read_bytes()

    failure = failure_for_response(status, body, {}, model="smollm2")

    said = msgspec.json.decode(body)["error"]["message"]
    assert type(failure) is kind
    assert failure.status == status
    assert " ".join(said.split()) in failure.message


@pytest.mark.requirement("providers:overflow:both-numbers")
def test_an_overflow_names_both_sizes() -> None:
    body = (RECORDINGS / "err_context_overflow_nonstream.json").read_bytes()

    failure = failure_for_response(400, body, {}, model="smollm2")

    assert "(3010 tokens, and its window holds 2048)" in failure.message
    assert "'smollm2'" in failure.message


REFUSALS = [
    (
        400,
        b'{"error":{"message":"x","code":"context_length_exceeded"}}',
        ContextOverflowFailure,
    ),
    (
        400,
        b'{"message":"This model\'s maximum context length is 8 tokens"}',
        ContextOverflowFailure,
    ),
    (400, b'{"error":"prompt is too long"}', ContextOverflowFailure),
    (429, b'{"error":{"message":"prompt is too long"}}', RateLimitFailure),
    (
        401,
        b'{"error":{"message":"Incorrect key","code":"invalid_api_key"}}',
        AuthenticationFailure,
    ),
    (402, b"", BillingFailure),
    (429, b'{"error":{"type":"insufficient_quota"}}', BillingFailure),
    (429, b'{"error":{"code":"project_spend_limit_exceeded"}}', BillingFailure),
    (429, b'{"error":{"code":"rate_limit_exceeded"}}', RateLimitFailure),
    (498, b"", RateLimitFailure),
    (403, b'{"detail":"no"}', PermissionFailure),
    (404, b'{"error":{"code":"model_not_found"}}', ModelNotFoundFailure),
    (
        404,
        b'{"object":"error","message":"The model `gpt-9` does not exist"}',
        ModelNotFoundFailure,
    ),
    (404, b'{"detail":"gpt-9?"}', ModelNotFoundFailure),
    (404, b"<html>404</html>", InvalidRequestFailure),
    (404, b'{"error":"model \'gpt-9\' not found"}', ModelNotFoundFailure),
    (408, b"", TimeoutFailure),
    (499, b"", ConnectionFailure),
    (504, b"<html>", TimeoutFailure),
    (409, b"", InvalidRequestFailure),
    (413, b"", TooLargeFailure),
    (
        422,
        b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
        InvalidRequestFailure,
    ),
    (500, b"", ServerFailure),
    (502, b"<html><h1>Bad Gateway</h1></html>", ServerFailure),
    (503, b"upstream connect error", OverloadFailure),
    (529, b"[]", OverloadFailure),
    (500, b'{"error":"model requires more system memory"}', InvalidRequestFailure),
    (503, b'{"error":"server busy, please try again"}', OverloadFailure),
    (400, b'{"error":"\\"m\\" does not support tools"}', InvalidRequestFailure),
    (500, b'{"error":{"message":"unsupported param: tools"}}', InvalidRequestFailure),
    (400, b'[{"error":{"message":"API key not valid"}}]', InvalidRequestFailure),
    (204, b"", ProtocolFailure),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
def test_a_refusal_is_understood(
    status: int, body: bytes, kind: type[ProviderFailure]
) -> None:
    failure = failure_for_response(status, body, {}, model="gpt-9")

    assert type(failure) is kind
    assert "<" not in failure.message


def test_a_refused_key_names_its_variable() -> None:
    failure = failure_for_response(401, b"", {}, model="m", provider="my-server")

    assert "my-server refused the key. Check MY_SERVER_API_KEY" in failure.message


SAID = [
    (b'{"error":{"message":"field required"}}', "It said: field required"),
    (b'{"detail":[{"msg":"field required"}]}', "It said: field required"),
    (b'{"error":{"error":"inner"}}', "It said: inner"),
    (b"plain words", "It said: plain words"),
    (b'{"error":"a\\u0000b\\n\\u202e\\u001b[31mc"}', "It said: a b [31mc"),
    (b'{"error":"half \\ud800 pair"}', "It said: half \ufffd pair"),
    (b'{"error":' + b'"' + b"word " * 200 + b'"}', "word …"),
    (b'{"error":"' + b"k" * 600 + b'"}', "It said: …"),
    (b"", "will not help."),
    (b'{"error":{"message":7,"code":true}}', "will not help."),
]


@pytest.mark.parametrize(("body", "end"), SAID)
def test_the_servers_words_are_one_clean_line(body: bytes, end: str) -> None:
    failure = failure_for_response(400, body, {}, model="m")

    assert failure.message.endswith(end)
    assert len(failure.message) < 650


NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)
HEADERS: list[tuple[dict[str, str], float | None, bool | None]] = [
    ({}, None, None),
    ({"Retry-After": "7", "X-Should-Retry": "false"}, 7.0, False),
    ({"retry-after-ms": "1500", "x-should-retry": "true"}, 1.5, True),
    ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}, 60.0, None),
]


@pytest.mark.parametrize(("headers", "retry_after_s", "should_retry"), HEADERS)
def test_the_server_says_whether_and_when_to_try_again(
    headers: dict[str, str], retry_after_s: float | None, *, should_retry: bool | None
) -> None:
    failure = failure_for_response(429, b"", headers, model="m", now=NOW)

    assert (failure.retry_after_s, failure.should_retry) == (
        retry_after_s,
        should_retry,
    )


def test_without_a_clock_a_date_is_no_wait() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}

    assert failure_for_response(429, b"", headers, model="m").retry_after_s is None


IDS: list[tuple[dict[str, str], bytes, str | None]] = [
    ({"X-Request-Id": "req_1"}, b"", "req_1"),
    ({"request-id": "req_1"}, b'{"request_id":"req_2"}', "req_1"),
    ({"x-generation-id": "gen_1"}, b"", "gen_1"),
    ({"request-id": ""}, b'{"error":{"type":"x"},"request_id":"req_2"}', "req_2"),
    ({}, b"", None),
]


@pytest.mark.parametrize(("headers", "body", "request_id"), IDS)
def test_the_request_id_is_kept_for_support(
    headers: dict[str, str], body: bytes, request_id: str | None
) -> None:
    failure = failure_for_response(500, body, headers, model="m")

    assert failure.request_id == request_id


def anthropic(kind: str, error_code: str | None = None, message: str = "x") -> bytes:
    details = None if error_code is None else {"error_code": error_code}
    error = {"type": kind, "message": message, "details": details}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": "req_1"})


INVALID, LIMIT = "invalid_request_error", "rate_limit_error"
ANTHROPIC: list[tuple[int, bytes, type[ProviderFailure], str]] = [
    (400, anthropic(INVALID), InvalidRequestFailure, INVALID),
    (
        400,
        anthropic(INVALID, "image_dimensions_too_large"),
        InvalidRequestFailure,
        "image_dimensions_too_large",
    ),
    (
        400,
        anthropic(INVALID, message="prompt is too long: 9 tokens > 8"),
        OVERFLOW,
        INVALID,
    ),
    (
        400,
        anthropic(INVALID, message="`max_tokens` exceed context limit: 9 + 9 > 8"),
        OVERFLOW,
        INVALID,
    ),
    (
        400,
        anthropic(INVALID, message="Your credit balance is too low to go on."),
        BillingFailure,
        INVALID,
    ),
    (
        400,
        anthropic(INVALID, message="You have reached your specified API usage limits."),
        BillingFailure,
        INVALID,
    ),
    (
        401,
        anthropic("authentication_error"),
        AuthenticationFailure,
        "authentication_error",
    ),
    (402, anthropic("billing_error"), BillingFailure, "billing_error"),
    (403, anthropic("permission_error"), PermissionFailure, "permission_error"),
    (
        404,
        anthropic("not_found_error", message="model: claude-0"),
        ModelNotFoundFailure,
        "not_found_error",
    ),
    (409, anthropic("conflict_error"), InvalidRequestFailure, "conflict_error"),
    (413, anthropic("request_too_large"), TooLargeFailure, "request_too_large"),
    (429, anthropic(LIMIT), RateLimitFailure, LIMIT),
    (
        429,
        anthropic(LIMIT, "ramp_limit_exceeded"),
        RateLimitFailure,
        "ramp_limit_exceeded",
    ),
    (
        429,
        anthropic(LIMIT, "enforced_spend_limit_reached"),
        BillingFailure,
        "enforced_spend_limit_reached",
    ),
    (
        429,
        anthropic(LIMIT, "contract_spend_limit_reached"),
        BillingFailure,
        "contract_spend_limit_reached",
    ),
    (500, anthropic("api_error"), ServerFailure, "api_error"),
    (504, anthropic("timeout_error"), TimeoutFailure, "timeout_error"),
    (529, anthropic("overloaded_error"), OverloadFailure, "overloaded_error"),
]


@pytest.mark.parametrize(("status", "body", "kind", "code"), ANTHROPIC)
def test_anthropics_refusals_are_understood(
    status: int, body: bytes, kind: type[ProviderFailure], code: str
) -> None:
    failure = failure_for_response(status, body, {}, model="claude-0")

    assert (type(failure), failure.code, failure.request_id) == (kind, code, "req_1")


@pytest.mark.parametrize(("status", "body", "kind", "code"), ANTHROPIC)
def test_the_same_inside_a_stream_means_the_same(
    status: int, body: bytes, kind: type[ProviderFailure], code: str
) -> None:
    """There the status is always 200: the word for the error says what it would be."""
    failure = failure_for_event(msgspec.json.decode(body), model="claude-0")

    assert (type(failure), failure.code, failure.request_id) == (kind, code, "req_1")
    assert failure.status == status


OVERFLOWS = [
    "This model's maximum context length is 8 tokens.",
    "Your input exceeds the context window of this model.",
    "the request exceeds the available context size",
    "input length and `max_tokens` exceed context limit: 188 + 21 > 200",
    "The input token count (9) exceeds the maximum number of tokens allowed (8).",
    "This model's maximum prompt length is 8 but the request contains 9 tokens.",
    "prompt too long; exceeded max context length by 4 tokens",
    "the input length exceeds the context length",
]


@pytest.mark.parametrize("said", OVERFLOWS)
def test_a_conversation_that_is_too_long_is_known_by_many_words(said: str) -> None:
    body = msgspec.json.encode({"error": {"message": said}})

    failure = failure_for_response(400, body, {}, model="m")

    assert type(failure) is OVERFLOW
    assert "Start a new one" in failure.message


def test_a_model_that_was_not_fetched_can_be_fetched() -> None:
    body = b'{"error":"model \'smollm2\' not found"}'

    failure = failure_for_response(404, body, {}, model="smollm2", provider="ollama")

    assert "`ollama pull`" in failure.message


def test_the_servers_own_words_can_be_had_alone() -> None:
    said = failure_for_response(400, b'{"error":"no top_k"}', {}, model="m")
    silent = failure_for_response(400, b"", {}, model="m")

    assert server_words(said) == "no top_k"
    assert server_words(silent) == ""


ADVICE = re.compile(
    r"Try again|try again|Check|Look at|Leave out|Start a new|will not help|tina models"
)


@pytest.mark.parametrize("status", [*range(300, 310), *range(400, 600)])
def test_every_status_has_a_sentence_that_says_what_to_do(status: int) -> None:
    failure = failure_for_response(status, b"", {}, model="m", provider="{x}")

    assert ADVICE.search(failure.message)
    assert "{x}" in failure.message
    assert failure.message.endswith(".")


EVENTS: list[tuple[object, type[ProviderFailure], int]] = [
    ({"code": 502, "message": "Provider down"}, ServerFailure, 502),
    ({"code": "429", "message": "slow"}, RateLimitFailure, 429),
    ({"type": "rate_limit_exceeded"}, RateLimitFailure, 429),
    ({"type": "server_error", "message": "x"}, ServerFailure, 500),
    ({"type": "invalid_request_error"}, InvalidRequestFailure, 400),
    ({"code": "insufficient_quota"}, BillingFailure, 429),
    ({"code": "server_error"}, ServerFailure, 500),
    ({"code": "slow_down"}, RateLimitFailure, 429),
    ({"code": "invalid_prompt"}, InvalidRequestFailure, 400),
    ({"code": "bio_policy"}, InvalidRequestFailure, 400),
    ({"code": "misalignment_policy_violation"}, InvalidRequestFailure, 400),
    ({"code": "data_residency_mismatch"}, InvalidRequestFailure, 400),
    ({"code": "vector_store_timeout"}, TimeoutFailure, 504),
    ({"code": "image_too_large"}, InvalidRequestFailure, 400),
    ({"code": "invalid_image_url"}, InvalidRequestFailure, 400),
    ({"code": "context_length_exceeded"}, OVERFLOW, 500),
    ({"code": "model_not_found"}, ModelNotFoundFailure, 404),
    ({"type": "unavailable_error", "code": 503}, OverloadFailure, 503),
    (
        {
            "type": "error",
            "status": 400,
            "error": {"code": "previous_response_not_found"},
        },
        InvalidRequestFailure,
        400,
    ),
    (
        {"type": "error", "error": {"code": "websocket_connection_limit_reached"}},
        OverloadFailure,
        503,
    ),
    ({"error": "an error was encountered while running the model"}, ServerFailure, 500),
    ("it broke", ServerFailure, 500),
    (None, ServerFailure, 500),
    ([], ServerFailure, 500),
]


@pytest.mark.parametrize(("error", "kind", "status"), EVENTS)
def test_an_error_inside_a_stream_is_understood(
    error: object, kind: type[ProviderFailure], status: int
) -> None:
    failure = failure_for_event(error, model="m")

    assert (type(failure), failure.status) == (kind, status)


ANY_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms"]), st.text()
)


@given(status=st.integers(100, 999), body=st.binary(), headers=ANY_HEADERS)
def test_no_refusal_breaks_the_reader(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    failure = failure_for_response(status, body, headers, model="m", now=NOW)

    assert len(failure.message) < 800
    assert not re.search("[\0-\x1f\x7f-\x9f\u202e]", failure.message)
