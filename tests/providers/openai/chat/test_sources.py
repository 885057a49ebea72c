import msgspec
import pytest

from tina.domain.events import Citation
from tina.providers.openai.chat.sources import MOST_SOURCES, Sources

URL = "https://a.example"


def told(entries: object) -> list[Citation]:
    return Sources("text").read(msgspec.Raw(msgspec.json.encode(entries)))


ENTRIES = [
    pytest.param([URL], [Citation("text", URL, URL)], id="address"),
    pytest.param(
        [{"url": URL, "title": "A\0"}], [Citation("text", "A", URL)], id="result"
    ),
    pytest.param(
        [{"type": "url_citation", "url_citation": {"url": URL, "title": "A"}}],
        [Citation("text", "A", URL)],
        id="annotation",
    ),
    pytest.param(
        [{"url": URL, "title": "A"}, URL], [Citation("text", "A", URL)], id="twice"
    ),
    pytest.param(
        [{"url_citation": 3}, {"url": 3}, {"title": "A"}, 3, None, [URL], ""],
        [],
        id="odd",
    ),
    pytest.param({"url": URL}, [], id="no-list"),
    pytest.param(None, [], id="null"),
]


@pytest.mark.parametrize(("entries", "expected"), ENTRIES)
def test_sources_are_read_in_every_shape(
    entries: object, expected: list[Citation]
) -> None:
    assert told(entries) == expected


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff"])
def test_what_cannot_be_read_tells_nothing(raw: bytes) -> None:
    assert Sources("text").read(msgspec.Raw(raw)) == []


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_there_is_an_end_of_sources(more: int) -> None:
    found = told([f"https://{number}.example" for number in range(MOST_SOURCES + more)])

    assert len(found) == min(MOST_SOURCES + more, MOST_SOURCES)
