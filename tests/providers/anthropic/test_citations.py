import msgspec
import pytest

from tina.domain.events import Citation
from tina.providers.anthropic.citations import read_citation

KINDS = [
    pytest.param(
        {"type": "web_search_result_location", "url": "https://a.org/", "title": "A"},
        Citation("0", "A", "https://a.org/"),
        id="web",
    ),
    pytest.param(
        {"type": "web_search_result_location", "url": "http://a.org/", "title": None},
        Citation("0", "http://a.org/", "http://a.org/"),
        id="web-without-title",
    ),
    pytest.param(
        {"type": "search_result_location", "source": "https://b.org", "title": "B"},
        Citation("0", "B", "https://b.org"),
        id="search-result",
    ),
    pytest.param(
        {"type": "search_result_location", "source": "my notes", "title": ""},
        Citation("0", "my notes"),
        id="search-result-of-no-page",
    ),
    pytest.param(
        {"type": "char_location", "document_index": 0, "document_title": "notes.txt"},
        Citation("0", "notes.txt"),
        id="document",
    ),
    pytest.param(
        {"type": "page_location", "document_index": 2, "document_title": None},
        Citation("0", "Document 3"),
        id="document-without-title",
    ),
    pytest.param(
        {"type": "x", "url": "javascript:alert(1)", "title": "C"},
        Citation("0", "C"),
        id="no-web-address",
    ),
    pytest.param({"type": "content_block_location"}, None, id="nothing"),
    pytest.param({"title": 3, "url": [], "document_index": True}, None, id="odd"),
    pytest.param(["a"], None, id="no-object"),
]


@pytest.mark.parametrize(("wire", "expected"), KINDS)
def test_a_citation_names_its_source(wire: object, expected: Citation | None) -> None:
    assert read_citation(msgspec.Raw(msgspec.json.encode(wire)), key="0") == expected
