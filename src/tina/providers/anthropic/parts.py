"""Parts of messages → content blocks.

Pure.

Source: Anthropic API reference, "Messages", input content blocks.
"""

from base64 import b64encode

from tina.domain.messages import (
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.text import clean_text
from tina.providers.anthropic.inputs import encode_input
from tina.providers.history import plain_tool_name
from tina.providers.lenient import Wire

_IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_PDF = "application/pdf"
_TEXTS = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/sql",
        "application/toml",
        "application/x-sh",
        "application/xml",
        "application/yaml",
    }
)
_TITLE_CHARS = 200
_TOOL_NAME_CHARS = 128


def encode_text(text: str) -> list[Wire]:
    """A block, or none: servers refuse one in which nothing stands."""
    text = clean_text(text)
    return [{"type": "text", "text": text}] if text.strip() else []


def encode_prompt_part(part: Part, *, has_documents: bool) -> list[Wire]:
    """What a person gave.

    Args:
        part: of any kind; what is no prompt gives nothing.
        has_documents: whether the server knows documents that are plain text. Others
            pass over them in silence, so that they get the text in a text block.
    """
    match part:
        case TextPart(text=text):
            return encode_text(text)
        case ImagePart():
            return [_encode_image(part)]
        case FilePart(media_type=media_type) if _plain(media_type) in _IMAGES:
            return [_encode_image(ImagePart(media_type=media_type, data=part.data))]
        case FilePart():
            return [_encode_file(part, has_documents=has_documents)]
        case _:
            return []


def encode_answer_part(part: Part) -> list[Wire]:
    """What a model said; its reasoning goes back by replay alone, or not at all."""
    match part:
        case TextPart(text=text) | RefusalPart(text=text):
            return encode_text(text)
        case _:
            return []


def encode_call(part: ToolCallPart, call_id: str) -> Wire:
    return {
        "type": "tool_use",
        "id": call_id,
        "name": plain_tool_name(part.tool, longest=_TOOL_NAME_CHARS),
        "input": encode_input(clean_text(part.arguments)),
    }


def encode_result(part: ToolResultPart, call_id: str) -> Wire:
    wire: Wire = {"type": "tool_result", "tool_use_id": call_id}
    text = clean_text(part.content)
    if part.images:
        images = [_encode_image(image) for image in part.images]
        wire["content"] = [*encode_text(text), *images]
    elif text.strip():
        wire["content"] = text
    if part.is_error:
        wire["is_error"] = True
    return wire


def _encode_image(part: ImagePart) -> Wire:
    media_type = _plain(part.media_type)
    if media_type not in _IMAGES:
        return _left_out(f"An image of the type {media_type}")
    source = {
        "type": "base64",
        "media_type": media_type,
        "data": b64encode(part.data).decode(),
    }
    return {"type": "image", "source": source}


def _encode_file(part: FilePart, *, has_documents: bool) -> Wire:
    title = clean_text(part.name)[:_TITLE_CHARS].strip() or "file"
    media_type = _plain(part.media_type)
    if media_type == _PDF:
        data = b64encode(part.data).decode()
        source = {"type": "base64", "media_type": _PDF, "data": data}
        return {"type": "document", "source": source, "title": title}
    if not (media_type.startswith("text/") or media_type in _TEXTS):
        return _left_out(f"The file {title!r} of the type {media_type}")
    text = clean_text(part.data.decode("utf-8", "replace"))
    if has_documents and text.strip():
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source, "title": title}
    return {"type": "text", "text": f"The file {title!r}:\n\n{text}"}


def _left_out(what: str) -> Wire:
    """Told to the model, so that it can tell the person."""
    return {"type": "text", "text": f"[{what} was left out: it cannot be read here.]"}


def _plain(media_type: str) -> str:
    """Without its parameters; nothing odd goes into a text."""
    plain = clean_text(media_type).partition(";")[0].strip().lower()
    return "image/jpeg" if plain == "image/jpg" else plain
