import pytest

from tina.domain.messages import FilePart
from tina.providers.text_files import file_text


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "Text/Markdown; charset=utf-8", "application/json", "text/csv"],
)
def test_text_stands_between_the_name_and_an_end(media_type: str) -> None:
    part = FilePart(name="a.md", media_type=media_type, data="Grüße\xff".encode())

    assert file_text(part) == "[a.md]\nGrüßeÿ\n[end of a.md]"


def test_broken_letters_cost_no_text() -> None:
    part = FilePart(name="a", media_type="text/plain", data=b"a\xffb")

    assert file_text(part) == "[a]\na\ufffdb\n[end of a]"


@pytest.mark.parametrize("media_type", ["application/pdf", "audio/wav", "", "json"])
def test_everything_else_is_no_text(media_type: str) -> None:
    assert file_text(FilePart(name="a", media_type=media_type, data=b"a")) is None
