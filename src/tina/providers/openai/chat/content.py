"""What people and tools show to a model → content of chat completions.

Source: OpenAI API reference, "Create chat completion", content parts.
"""

from base64 import b64encode
from typing import assert_never

from tina.domain.messages import FilePart, ImagePart, Part, TextPart
from tina.domain.text import clean_text
from tina.providers.lenient import Wire

_AUDIO = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
}
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})
_UNSEEN = "(There is an image here, but this model cannot see images.)"


def encode_content(parts: tuple[Part, ...], *, sees_images: bool) -> str | list[Wire]:
    """Text, or parts if there is anything beside it; empty if nothing is said."""
    shown = [
        part for part in parts if isinstance(part, TextPart | ImagePart | FilePart)
    ]
    texts = [part.text for part in shown if isinstance(part, TextPart)]
    if len(texts) == len(shown):
        return clean_text("".join(texts))
    wires = (encode_part(part, sees_images=sees_images) for part in shown)
    return [wire for wire in wires if wire is not None]


def encode_part(
    part: TextPart | ImagePart | FilePart, *, sees_images: bool
) -> Wire | None:
    match part:
        case TextPart():
            return text_part(part.text) if part.text else None
        case ImagePart() if not sees_images:
            # Refused, it would end a conversation that another model began.
            return text_part(_UNSEEN)
        case ImagePart():
            url = _data_url(part.media_type, part.data)
            return {"type": "image_url", "image_url": {"url": url}}
        case FilePart():
            return _encode_file(part)
        case _:
            assert_never(part)


def text_part(text: str) -> Wire:
    return {"type": "text", "text": clean_text(text)}


def _encode_file(part: FilePart) -> Wire:
    """Servers take PDF documents at most; text needs no file to be read."""
    media_type = part.media_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in _TEXTS:
        text = part.data.decode("utf-8", "replace")
        return text_part(f"[{part.name}]\n{text}\n[end of {part.name}]")
    if media_type in _AUDIO:
        audio = {"data": b64encode(part.data).decode(), "format": _AUDIO[media_type]}
        return {"type": "input_audio", "input_audio": audio}
    file = {
        "filename": clean_text(part.name),
        "file_data": _data_url(part.media_type, part.data),
    }
    return {"type": "file", "file": file}


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{clean_text(media_type)};base64,{b64encode(data).decode()}"
