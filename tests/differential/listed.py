"""Where Tina and the SDKs do not hear the same, and why: the whole list.

A field is named with what the SDK says and what Tina says.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.differential.heard import Call, Difference, Tokens
from tina.domain.chat import StopReason


class Listed(NamedTuple):
    case: str
    why: str
    fields: dict[str, Difference]


def _silent(kind: str, why: str, *cases: str) -> Iterator[Listed]:
    """The SDK raises nothing."""
    return _errors(None, kind, why, *cases)


def _errors(theirs: str | None, kind: str, why: str, *cases: str) -> Iterator[Listed]:
    for case in cases:
        yield Listed(case, why, {"error": Difference(theirs, kind)})


def _timings(case: str, *counts: int) -> Listed:
    why = "llama.cpp counts in `timings` when nobody asked for usage; Tina reads them."
    return Listed(case, why, {"tokens": Difference(Tokens(), Tokens(*counts))})


def _call_ids(case: str, *calls: tuple[str, str, object]) -> Listed:
    own = tuple(Call(*call) for call in calls)
    theirs = tuple(Call("", name, arguments) for _, name, arguments in calls)
    why = "The SDK drops the ids of calls. Tina keeps them, and makes what is missing."
    return Listed(case, why, {"calls": Difference(theirs, own)})


_HALF = "Half an answer looks like a whole one: without its end Tina calls it cut."
_EMPTY = "The SDK shows an empty answer; Tina says that there was none."
_PAGE = "A web page with status 200 is no answer, and no defect of the program."
_LOADING = "A server that is busy or loading is not broken: it can be asked again soon."
_FINER = "A program that can shorten the conversation must be told that it is too long."
_MISTAKE = "llama.cpp answers 500 for what is wrong the next time, too."
_ADDRESS = "Nothing is at that address. It is no model that is missing."
_ONE_CLASS = "The SDK has one class for every refusal; Tina reads what it says."
_MIDWAY = "The SDK has one class for every error in a stream; Tina reads what it says."
_HANDED_ON = "The SDK hands the error on as an event like any other, and ends in order."
_LOST = "The SDK names the connection, or lets an error of its HTTP library out."

LISTED = (
    *_silent(
        "truncated",
        _HALF,
        "disconnect_after_4_events",
        "anthropic_cut",
        "chat_cut",
        "responses_cut",
        "ollama_cut",
    ),
    *_silent("protocol", _EMPTY, "chat_nothing", "chat_only_done"),
    *_silent("protocol", _PAGE, "chat_page_200", "responses_page_200"),
    *_errors("AssertionError", "protocol", _PAGE, "anthropic_page_200"),
    *_errors("JSONDecodeError", "protocol", _PAGE, "ollama_page_200"),
    *_errors(
        "InternalServerError",
        "overloaded",
        _LOADING,
        "err_503_loading",
        "chat_503_slow_down",
    ),
    *_errors(
        "BadRequestError",
        "context_overflow",
        _FINER,
        "err_context_overflow_nonstream",
        "anthropic_400_context",
        "chat_400_context_length_exceeded",
    ),
    *_errors(
        "InternalServerError",
        "invalid_request",
        _MISTAKE,
        "err_bad_tool_schema",
        "err_image_unsupported",
    ),
    *_errors(
        "NotFoundError",
        "invalid_request",
        _ADDRESS,
        "err_unknown_path",
        "msg_err_unknown_path",
    ),
    *_errors(
        "RateLimitError",
        "billing",
        "Waiting does not help who has to pay.",
        "chat_429_insufficient_quota",
    ),
    *_errors("ResponseError", "invalid_request", _ONE_CLASS, "ollama_400"),
    *_errors("ResponseError", "model_not_found", _ONE_CLASS, "ollama_404"),
    *_errors("ResponseError", "overloaded", _ONE_CLASS, "ollama_503"),
    *_errors("ResponseError", "server", _ONE_CLASS, "ollama_page_502"),
    *_errors(
        "ResponseError",
        "server",
        _MIDWAY,
        "ollama_error_midway",
        "ollama_error_midway_stream",
    ),
    *_errors("APIStatusError", "overloaded", _MIDWAY, "anthropic_error_midway"),
    *_errors("APIError", "overloaded", _MIDWAY, "chat_error_midway"),
    *_silent("rate_limit", _HANDED_ON, "responses_error_midway"),
    *_errors(
        "RemoteProtocolError",
        "truncated",
        _LOST,
        "anthropic_hung_up",
        "ollama_hung_up",
    ),
    *_errors(
        "APIConnectionError",
        "truncated",
        _LOST,
        "chat_hung_up",
        "responses_hung_up",
    ),
    Listed(
        "responses_failed",
        "The SDK hands a failed response on like any other; Tina raises the failure.",
        {
            "tokens": Difference(Tokens(1_240, 77, 1_024, None, 9), Tokens()),
            "stop": Difference(StopReason.UNKNOWN, None),
            "error": Difference(None, "server"),
        },
    ),
    Listed(
        "chat_refusal",
        "The server says `stop`; that it refused is in the message, and Tina says so.",
        {"stop": Difference(StopReason.STOP, StopReason.CONTENT_FILTER)},
    ),
    Listed(
        "ollama_odd_line_separators",
        "The SDK cuts lines where JSON does not: at U+2028, U+2029 and U+0085.",
        {
            "text": Difference("", "a\u2028b\u2029c\x85d\n"),
            "tokens": Difference(Tokens(), Tokens(26, 9)),
            "stop": Difference(None, StopReason.STOP),
            "error": Difference("JSONDecodeError", None),
        },
    ),
    _call_ids(
        "ollama_parallel_calls",
        ("call_0_20261101T100000123456Z", "get_weather", {"city": "Malmö"}),
        ("call_1_20261101T100000123456Z", "get_time", {"zone": {"at": [1, 2.5, None]}}),
    ),
    _call_ids(
        "ollama_old_tools_stream",
        ("call_0_20261101T100000900000001Z", "get_weather", {"city": "Paris"}),
        ("call_1_20261101T100000900000001Z", "now", {}),
    ),
    _call_ids(
        "ollama_tools_stream",
        ("call_ab12cd34", "get_weather", {"city": "Paris", "unit": "celsius"}),
        ("call_ef56gh78", "get_weather", {"city": "Köln"}),
    ),
    _timings("chat_content_parts_stream", 23, 4, 1),
    _timings("chat_json_schema_stream", 14, 31, 0),
    _timings("chat_logprobs_stream", 13, 3, 12),
    _timings("chat_ping_comments_stream", 1_510, 4, 0),
    _timings("chat_progress_stream", 610, 3, 0),
    _timings("chat_text_stream_no_usage", 25, 12, 24),
    _timings("chat_tools_required_not_enforced_stream", 171, 30, 162),
)
