import pytest

from tests.networking.clients import SECRET
from tina.domain.failures import InvalidRequestFailure, RefusedOriginFailure
from tina.domain.secret import Secret
from tina.networking.origin import Origin
from tina.networking.proxies import Proxies
from tina.networking.request import Credential, HttpRequest, check_request

HERE = Origin("https", "models.example", 443)


def key_for(origin: Origin) -> Credential:
    return Credential(secret=Secret(SECRET), origin=origin)


def test_a_key_of_an_ipv6_address_is_named_in_its_brackets() -> None:
    request = HttpRequest(
        method="GET",
        url="https://models.example",
        credential=key_for(Origin("https", "::1", 443)),
    )

    with pytest.raises(RefusedOriginFailure, match=r"https://\[::1\]:443"):
        check_request(request, Proxies({}))


@pytest.mark.parametrize("bad", ["\r\nX: y", "\0", "\u20ac", "\n"])
def test_a_key_that_cannot_be_sent_is_not_shown(bad: str) -> None:
    key = Credential(
        secret=Secret(SECRET + bad), origin=Origin("https", "models.example", 443)
    )
    request = HttpRequest(method="GET", url="https://models.example", credential=key)

    with pytest.raises(InvalidRequestFailure) as caught:
        check_request(request, Proxies({}))

    assert SECRET not in f"{caught.value!r}"


def test_no_request_shows_its_key() -> None:
    key = key_for(Origin("https", "models.example", 443))
    request = HttpRequest(method="GET", url="https://models.example", credential=key)

    checked = check_request(request, Proxies({}))

    assert SECRET in checked.headers["Authorization"]
    assert SECRET not in f"{request!r} {checked!r} {key!r}"


def test_a_request_leaves_as_it_was_meant() -> None:
    request = HttpRequest(
        method="POST",
        url="https://Models.example/v1",
        headers={"Accept": "text/event-stream"},
        credential=key_for(HERE),
        body=b"{}",
    )

    checked = check_request(request, Proxies({"HTTPS_PROXY": "http://p:3128"}))

    assert (checked.method, checked.url) == ("POST", "https://Models.example/v1")
    assert (checked.host, checked.body) == ("models.example", b"{}")
    assert checked.proxy is not None
    assert checked.headers == {
        "Accept": "text/event-stream",
        "Authorization": f"Bearer {SECRET}",
    }


def test_a_request_without_a_key_leaves_without_one() -> None:
    request = HttpRequest(method="GET", url="https://models.example")

    checked = check_request(request, Proxies({}))

    assert (checked.headers, checked.proxy) == ({}, None)


@pytest.mark.parametrize(
    "origin",
    [
        Origin("http", "models.example", 443),
        Origin("https", "api.models.example", 443),
        Origin("https", "models.example", 8443),
    ],
)
def test_a_key_is_not_sent_to_another_origin(origin: Origin) -> None:
    request = HttpRequest(
        method="GET", url="https://models.example", credential=key_for(origin)
    )

    with pytest.raises(RefusedOriginFailure):
        check_request(request, Proxies({}))
