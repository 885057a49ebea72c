"""A real llama.cpp server, in a process of its own, and what makes it call tools.

SmolLM2 was never taught to call tools and its template has no place for them. With a
template that has one, and a history that shows how it is done, it does: what travels
then is what the server sends for any model.

The server is a child process, so that no thread and no descriptor of it is among those
of the tests, and a crash of it fails one test instead of ending all.
"""

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    Message,
    MessageStatus,
    Part,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.tools import ToolDefinition

MODEL = "smollm2"
WINDOW_TOKENS = 2048
GIVE_UP_S = 60.0

TOOL_TEMPLATE = r"""
{%- if tools %}
    {{- '<|im_start|>system\n<tools>' }}
    {%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}
    {{- '\n</tools>\nCall a tool like this:\n<tool_call>\n' }}
    {{- '{"name": <name>, "arguments": <arguments>}\n</tool_call><|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\n' + (message.content or '') }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- (call.function.arguments | tojson) + '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
""".strip()

WEATHER = ToolDefinition(
    name="get_weather",
    description="Weather of a city",
    schema='{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}',
)


def message(role: Role, *parts: Part) -> Message:
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def user(text: str) -> Message:
    return message(Role.USER, TextPart(text=text))


def shown(*cities: str) -> tuple[Message, ...]:
    """How a tool is called, once for each city, and what is said then."""
    ids = [ToolCallId(f"call_{city.lower()}") for city in cities]
    calls = [
        ToolCallPart(
            call_id=call_id, tool=WEATHER.name, arguments=json.dumps({"city": city})
        )
        for call_id, city in zip(ids, cities, strict=True)
    ]
    results = [ToolResultPart(call_id=call_id, content="sunny") for call_id in ids]
    names = " and ".join(cities)
    return (
        user(f"Weather in {names}?"),
        message(Role.ASSISTANT, *calls),
        message(Role.TOOL, *results),
        message(Role.ASSISTANT, TextPart(text=f"Sunny in {names}.")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaServer:
    address: str
    """Such as `http://127.0.0.1:40123`."""
    key: str


@contextmanager
def serving(weights: Path) -> Generator[LlamaServer]:
    """The server, which ends with this.

    Raises:
        AssertionError: it did not begin.
    """
    key = secrets.token_hex(16)
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(GIVE_UP_S, process.kill)
        watchdog.start()
        try:
            process.stdin.write(f"{json.dumps([str(weights), key])}\n")
            process.stdin.flush()
            address = process.stdout.readline().strip()
            watchdog.cancel()
            assert address, "llama.cpp's server did not begin"
            yield LlamaServer(address=address, key=key)
            process.stdin.close()
            assert process.wait(GIVE_UP_S) == 0
        finally:
            watchdog.cancel()
            process.kill()


def main() -> None:
    """Serve until the standard input ends."""
    import xllamacpp

    weights, key = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.model_alias = {MODEL}
    params.chat_template = TOOL_TEMPLATE
    params.n_ctx = WINDOW_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.verbosity = -1
    params.api_keys = [key]
    params.n_threads_http = 4
    params.ui = False
    params.endpoint_slots = True
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # Right after loading its destructor could wait for ever.
    server.handle_completions(
        '{"prompt":"Hi","n_predict":1,"stream":true}', lambda _: False
    )


if __name__ == "__main__":
    main()
