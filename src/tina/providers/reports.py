"""What a server said of its error, read leniently: every server has its own shape.

Pure. HTML is never repeated; a message is one line without control characters, at most
500 characters.

Source: the error objects of Anthropic's, OpenAI's and Ollama's API references; and
those of llama.cpp, vLLM, OpenRouter, LM Studio and FastAPI.
"""

import re
from collections.abc import Mapping

import msgspec

from tina.providers.escapes import repair_escapes
from tina.providers.lenient import is_list, is_mapping, read_json

_MOST_CHARS = 500
_DEEPEST = 4
_SENTENCES = ("message", "detail")
# Control characters, line separators, and those that reverse what people read.
_UNSHOWN = re.compile("[\0-\x20\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_STATUS = re.compile("[45][0-9]{2}")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One shape for all; empty where the server was silent.

    `status` is that of HTTP, or the one the error names itself; 0 if there is none.
    """

    status: int = 0
    message: str = ""
    code: str = ""
    """The narrowest word; never a number."""
    type: str = ""
    param: str = ""
    """The field of the request that is wrong, or the path to it."""
    request_id: str = ""
    prompt_tokens: int | None = None
    window_tokens: int | None = None

    @property
    def words(self) -> frozenset[str]:
        return frozenset({self.code, self.type}) - {""}

    def with_status(self, status: int) -> "Report":
        return msgspec.structs.replace(self, status=status)


def read_body(body: bytes) -> Report:
    """The body of a refusal, of any kind."""
    text = body.decode("utf-8", "replace").strip()
    value = read_json(repair_escapes(text).encode())
    if value is None:
        is_silent = "<" in text or text == "null"  # of HTML, nothing is for people
        return Report(message="" if is_silent else _one_line(text))
    return read_error(value)


def read_error(error: object) -> Report:
    """An error object, the whole event or body that holds one, or a bare text."""
    outer: Mapping[str, object] = {}
    for _ in range(_DEEPEST):
        if is_list(error) and error:
            error = error[0]
        if not (is_mapping(error) and error.get("error")):
            break
        outer = {**outer, **error}
        error = error["error"]
    if isinstance(error, str):
        # An OAuth server puts its word into `error` and its sentence beside it.
        beside = _message_of(outer, _SENTENCES)
        return Report(message=_one_line(beside or error), request_id=_id_in(outer))
    if not is_mapping(error):
        return Report()
    return _read_object(error, outer)


def _read_object(error: Mapping[str, object], outer: Mapping[str, object]) -> Report:
    details = error.get("details")
    narrow = details.get("error_code") if is_mapping(details) else None
    codes = (narrow, error.get("code"))
    return Report(
        status=_status_in(error) or _status_in(outer),
        message=_one_line(_message_of(error, (*_SENTENCES, "error"))),
        code=next((word for code in codes if (word := _word(code))), ""),
        type=_word(error.get("type")),
        param=_one_line(_param_of(error)),
        request_id=_id_in(error) or _id_in(outer),
        prompt_tokens=_number(error.get("n_prompt_tokens")),
        window_tokens=_number(error.get("n_ctx")),
    )


def _message_of(error: Mapping[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        value = error.get(name)
        if is_list(value) and value and is_mapping(value[0]):
            value = value[0].get("msg")
        if isinstance(value, str) and value:
            return value
    return ""


def _param_of(error: Mapping[str, object]) -> str:
    """As it is named, or as FastAPI's path to it."""
    named = error.get("param")
    if isinstance(named, str):
        return named
    for name in _SENTENCES:
        value = error.get(name)
        path = value[0] if is_list(value) and value else None
        path = path.get("loc") if is_mapping(path) else None
        if is_list(path):
            return ".".join(step for step in path if isinstance(step, str))
    return ""


def _status_in(error: Mapping[str, object]) -> int:
    """Of HTTP, as OpenRouter, llama.cpp and the WebSocket mode put it into the JSON."""
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and _STATUS.fullmatch(value):
            return int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return 0


def _word(value: object) -> str:
    if not isinstance(value, str) or value.isdigit():
        return ""
    return _one_line(value)


def _id_in(value: Mapping[str, object]) -> str:
    request_id = value.get("request_id")
    return _one_line(request_id) if isinstance(request_id, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _one_line(text: str) -> str:
    """Printable, short, and cut between words: half a key would not be masked."""
    line = _UNSHOWN.sub(" ", text).strip()
    if len(line) <= _MOST_CHARS:
        return line
    head, space, _ = line[: _MOST_CHARS - 1].rpartition(" ")
    return f"{head}{space}…"
