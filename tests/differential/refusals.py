"""Refusals made by hand, as the vendors word them, and answers that are none.

Source: Anthropic API reference, "Errors"; OpenAI API reference, "Error codes"; Ollama
API, "Errors".
"""

import json
from typing import Any

from benchmarks._streaming_wire import Protocol
from tests.differential.cases import JSON, Case
from tests.differential.streams import HAND_MADE
from tina.testing.server import Ending


def _anthropic(status: int, kind: str, message: str = "No.") -> Case:
    error = {"type": kind, "message": message}
    body = {"type": "error", "error": error, "request_id": "req_1"}
    return _refusal(f"anthropic_{status}_{kind}", Protocol.ANTHROPIC, status, body)


def _openai(status: int, code: str, message: str = "No.") -> Case:
    error = {"message": message, "type": "error", "param": None, "code": code}
    return _refusal(f"chat_{status}_{code}", Protocol.CHAT, status, {"error": error})


def _ollama(status: int, message: str) -> Case:
    return _refusal(f"ollama_{status}", Protocol.OLLAMA, status, {"error": message})


def _refusal(name: str, protocol: Protocol, status: int, body: Any) -> Case:
    return Case(name, protocol, json.dumps(body).encode(), status, JSON)


def _page(protocol: Protocol, status: int) -> Case:
    body = b"<html><body>Welcome to the hotel. Please sign in.</body></html>"
    return Case(f"{protocol}_page_{status}", protocol, body, status, "text/html")


_TEXTS = {
    Protocol.ANTHROPIC: "anthropic_stop_sequence",
    Protocol.CHAT: "chat_no_done",
    Protocol.RESPONSES: "responses_too_long",
    Protocol.OLLAMA: "ollama_text",
}


def _hung_up(protocol: Protocol) -> Case:
    """The first half of an answer, and the connection is closed."""
    whole = next(case for case in HAND_MADE if case.name == _TEXTS[protocol])
    half = whole.body[: len(whole.body) // 2]
    return Case(f"{protocol}_hung_up", protocol, half, ending=Ending.CLOSE)


REFUSALS = [
    _anthropic(400, "invalid_request_error"),
    _anthropic(400, "context", "prompt is too long: 210000 tokens > 200000 maximum"),
    _anthropic(401, "authentication_error"),
    _anthropic(402, "billing_error"),
    _anthropic(403, "permission_error"),
    _anthropic(404, "not_found_error", "model: recorded"),
    _anthropic(413, "request_too_large"),
    _anthropic(429, "rate_limit_error"),
    _anthropic(500, "api_error"),
    _anthropic(504, "timeout_error"),
    _anthropic(529, "overloaded_error"),
    _openai(400, "invalid_value"),
    _openai(400, "context_length_exceeded"),
    _openai(401, "invalid_api_key"),
    _openai(403, "unsupported_country_region_territory"),
    _openai(404, "model_not_found", "The model `recorded` does not exist"),
    _openai(422, "unprocessable"),
    _openai(429, "rate_limit_exceeded"),
    _openai(429, "insufficient_quota"),
    _openai(500, "server_error"),
    _openai(503, "slow_down"),
    _ollama(400, "recorded does not support tools"),
    _ollama(404, "model 'recorded' not found"),
    _ollama(503, "server busy, please try again"),
    *(_page(protocol, status) for protocol in Protocol for status in (200, 502)),
    *(_hung_up(protocol) for protocol in Protocol),
]
