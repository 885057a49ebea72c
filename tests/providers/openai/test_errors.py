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
from tina.providers.openai.errors import failure_for_event, failure_for_response

RECORDINGS = Path(__file__).parents[2] / "recordings"
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
    "err_unknown_path": InvalidRequestFailure,
    "err_wrong_method": InvalidRequestFailure,
}


def recorded_status(name: str) -> int:
    return int((RECORDINGS / f"{name}.headers.txt").read_text().split(" ")[1])


def test_every_recorded_refusal_is_in_the_table() -> None:
    assert {path.stem for path in RECORDINGS.glob("err_*.json")} == set(CAPTURES)


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
    (408, b"", TimeoutFailure),
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
RETRIES: list[tuple[dict[str, str], float | None]] = [
    ({"Retry-After": "7"}, 7.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
    ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}, 60.0),
    ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 -0000"}, 60.0),
    ({"Retry-After": "Sun, 22 Nov 2026 19:00:00 GMT"}, 0.0),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": "-1"}, None),
    ({"Retry-After": "nan"}, None),
    ({"Retry-After": "inf"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "retry_after_s"), RETRIES)
def test_the_server_says_how_long_to_wait(
    headers: dict[str, str], retry_after_s: float | None
) -> None:
    failure = failure_for_response(429, b"", headers, model="m", now=NOW)

    assert failure.retry_after_s == retry_after_s


def test_without_a_clock_a_date_is_no_wait() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}

    assert failure_for_response(429, b"", headers, model="m").retry_after_s is None


def test_the_request_id_is_kept_for_support() -> None:
    failure = failure_for_response(500, b"", {"X-Request-Id": "req_1"}, model="m")

    assert failure.request_id == "req_1"


EVENTS: list[tuple[object, type[ProviderFailure], int]] = [
    ({"code": 502, "message": "Provider down"}, ServerFailure, 502),
    ({"code": "429", "message": "slow"}, RateLimitFailure, 429),
    ({"type": "rate_limit_exceeded"}, RateLimitFailure, 429),
    ({"type": "server_error", "message": "x"}, ServerFailure, 500),
    ({"type": "invalid_request_error"}, InvalidRequestFailure, 400),
    ({"code": "insufficient_quota"}, BillingFailure, 429),
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


HEADERS = st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text())


@given(status=st.integers(100, 999), body=st.binary(), headers=HEADERS)
def test_no_refusal_breaks_the_reader(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    failure = failure_for_response(status, body, headers, model="m", now=NOW)

    assert len(failure.message) < 800
    assert not re.search("[\0-\x1f\x7f-\x9f\u202e]", failure.message)
