"""Files that are text, for protocols that have no place for files. Pure."""

from tina.domain.messages import FilePart

_TEXTS = frozenset({"application/json", "application/xml", "application/yaml"})


def file_text(part: FilePart) -> str | None:
    """What is in the file, between its name and an end; None if it is no text."""
    media_type = part.media_type.partition(";")[0].strip().lower()
    if not (media_type.startswith("text/") or media_type in _TEXTS):
        return None
    text = part.data.decode("utf-8", "replace")
    return f"[{part.name}]\n{text}\n[end of {part.name}]"
