import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import RefusedOriginFailure
from tina.networking.origin import Origin, check_url, http_form, is_loopback, join_url

ALLOWED = [
    ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443)),
    ("HTTPS://API.OpenAI.com", Origin("https", "api.openai.com", 443)),
    ("https://example.org:8443/v1?a=b", Origin("https", "example.org", 8443)),
    ("http://localhost:8080/v1", Origin("http", "localhost", 8080)),
    ("http://localhost.:8080/v1", Origin("http", "localhost.", 8080)),
    ("http://127.0.0.1:1", Origin("http", "127.0.0.1", 1)),
    ("http://127.255.255.254", Origin("http", "127.255.255.254", 80)),
    ("http://[::1]:11434", Origin("http", "::1", 11434)),
]


@pytest.mark.parametrize(("url", "origin"), ALLOWED)
def test_https_and_this_machine_are_allowed(url: str, origin: Origin) -> None:
    assert check_url(url) == origin


REFUSED = [
    "http://example.org",
    "http://10.0.0.1",
    "http://127.0.0.1.example.org",
    "http://localhost.example.org",
    "http://notlocalhost",
    "http://tina.localhost",
    "http://127.1",
    "http://0x7f.0.0.1",
    "http://2130706433",
    "http://0.0.0.0",
    "http://[::2]",
    "http://[::ffff:10.0.0.1]",
    "https://me:hunter2@example.org",
    "https://me@example.org",
    "https://:hunter2@example.org",
    "http://localhost\\@example.org",
    "http://example.org\\.localhost",
    "http://local\thost",
    "https://exam ple.org",
    "ftp://example.org",
    "file:///etc/passwd",
    "//example.org",
    "example.org/v1",
    "https://",
    "https:///v1",
    "https://[::1",
    "https://example.org:port",
    "https://example.org:99999",
    "",
]


@pytest.mark.requirement("networking:origin:https-only")
@pytest.mark.parametrize("url", REFUSED)
def test_everything_else_is_refused_with_advice(url: str) -> None:
    with pytest.raises(RefusedOriginFailure) as caught:
        check_url(url)

    assert "hunter2" not in caught.value.message
    assert caught.value.message.endswith(".") or "example" in caught.value.message


def test_the_advice_is_something_that_a_person_can_do() -> None:
    with pytest.raises(RefusedOriginFailure, match=r"Write https, or .*ssh tunnel"):
        check_url("http://10.0.0.1:8000")


def test_plain_http_can_be_allowed() -> None:
    assert check_url("http://10.0.0.1:8000", allow_http=True).host == "10.0.0.1"


@given(st.text(max_size=40) | st.text(max_size=30).map("http://{}".format))
def test_no_text_breaks_the_check(url: str) -> None:
    try:
        origin = check_url(url)
    except RefusedOriginFailure:
        return

    assert origin.scheme == "https" or is_loopback(origin.host)


JOINS = [
    (
        "https://host/proxy/v1/",
        "chat/completions",
        "https://host/proxy/v1/chat/completions",
    ),
    ("https://host/v1", "/models", "https://host/v1/models"),
    ("http://[::1]:8080", "models", "http://[::1]:8080/models"),
    (
        "https://host/v1?api-version=1#x",
        "models",
        "https://host/v1/models?api-version=1",
    ),
    (
        "https://host/v1?api-version=1",
        "models?limit=9",
        "https://host/v1/models?api-version=1&limit=9",
    ),
]


@pytest.mark.parametrize(("base", "path", "joined"), JOINS)
def test_the_base_keeps_its_path(base: str, path: str, joined: str) -> None:
    assert join_url(base, path) == joined


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:1/a", "http://127.0.0.1:1/a"),
        ("WSS://models.example/ws:", "https://models.example/ws:"),
        ("https://models.example/ws://", "https://models.example/ws://"),
    ],
)
def test_the_handshake_goes_to_the_http_form_of_the_address(
    url: str, expected: str
) -> None:
    assert http_form(url) == expected
