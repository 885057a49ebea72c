import pytest

from tina.providers.entries import KeyHeader, Protocol, ProviderEntry


def test_an_entry_shows_neither_its_headers_nor_its_address() -> None:
    entry = ProviderEntry(
        protocol=Protocol.CHAT,
        base_url="https://gateway.example/canary",
        title="Mine",
        headers={"X-Gateway": "canary"},
    )

    assert repr(entry) == str(entry) == "ProviderEntry(openai-chat, 'Mine')"


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        (KeyHeader.BEARER, "Bearer "),
        (KeyHeader.X_API_KEY, ""),
        (KeyHeader.API_KEY, ""),
    ],
)
def test_only_one_header_says_what_a_key_is(header: KeyHeader, prefix: str) -> None:
    assert header.prefix == prefix
