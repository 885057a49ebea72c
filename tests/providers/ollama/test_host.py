import pytest
from hypothesis import given
from hypothesis import strategies as st

# Private, but the only place where the official client says what the forms mean.
from ollama._client import _parse_host  # pyright: ignore[reportPrivateUsage]

from tina.domain.failures import RefusedOriginFailure
from tina.networking.origin import check_url
from tina.providers.ollama.host import base_url_for

FORMS = [
    ("", "http://127.0.0.1:11434"),
    ("  ", "http://127.0.0.1:11434"),
    ("box", "http://box:11434"),
    ("box:80", "http://box:80"),
    (" 'box:1234' ", "http://box:1234"),
    (":8080", "http://127.0.0.1:8080"),
    ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - nothing listens there
    ("0.0.0.0:9999", "http://127.0.0.1:9999"),
    ("http://0.0.0.0:9999", "http://127.0.0.1:9999"),
    ("10.0.0.7", "http://10.0.0.7:11434"),
    ("::", "http://[::1]:11434"),
    ("[::]:9999", "http://[::1]:9999"),
    ("0:0:0:0:0:0:0:0", "http://[::1]:11434"),
    ("::1", "http://[::1]:11434"),
    ("[::1]", "http://[::1]:11434"),
    ("[2001:db8::1]:56789", "http://[2001:db8::1]:56789"),
    ("http://box", "http://box"),
    ("https://box", "https://box"),
    ("HTTPS://box:8443", "https://box:8443"),
    ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ("http://", "http://127.0.0.1"),
    ("ollama.com", "https://ollama.com"),
    ("Ollama.com:443", "http://Ollama.com:443"),
    ("box/ollama/", "http://box:11434/ollama"),
    ("https://box/a/b/", "https://box/a/b"),
    ("https://box:443/a//", "https://box:443/a"),
]
"""Forms, and the base URL of each."""


@pytest.mark.parametrize(("text", "url"), FORMS)
def test_each_form_of_an_address_is_understood(text: str, url: str) -> None:
    assert base_url_for(text) == url
    assert check_url(base_url_for(text), allow_http=True)


OFFICIAL = [
    "",
    "1.2.3.4",
    ":56789",
    "1.2.3.4:56789",
    "http://1.2.3.4",
    "https://1.2.3.4",
    "https://1.2.3.4:56789",
    "example.com",
    "example.com:56789",
    "http://example.com",
    "https://example.com",
    "https://example.com:56789",
    "example.com/",
    "example.com:56789/path",
    "https://example.com:56789/path/",
    "[0001:002:003:0004::1]",
    "[0001:002:003:0004::1]:56789",
    "http://[0001:002:003:0004::1]",
    "https://[0001:002:003:0004::1]:56789/path",
]
"""Those that the official client lists as examples."""


@pytest.mark.parametrize("text", OFFICIAL)
def test_it_goes_where_the_official_client_goes(text: str) -> None:
    ours, theirs = base_url_for(text), _parse_host(text)

    assert check_url(ours, allow_http=True) == check_url(theirs, allow_http=True)


@pytest.mark.parametrize(
    "text", ["box:port", "box:99999", "tcp://box", "[::1]x", "a b", "user:word@box"]
)
def test_what_cannot_be_used_is_refused_when_it_is_asked(text: str) -> None:
    url = base_url_for(text)

    with pytest.raises(RefusedOriginFailure):
        check_url(url, allow_http=True)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert "://" in base_url_for(text)
