import pytest

from tina.domain.failures import InvalidRequestFailure
from tina.networking.origin import Origin
from tina.networking.proxies import Proxies, Proxy

SECURE = Origin("https", "api.models.example", 443)
PLAIN = Origin("http", "models.lan", 8080)


def host_for(environment: dict[str, str], origin: Origin = SECURE) -> str | None:
    proxy = Proxies(environment).find(origin)
    return None if proxy is None else proxy.host


CHOICES = [
    pytest.param({}, SECURE, None, id="none"),
    pytest.param({"HTTPS_PROXY": "http://p:3128"}, SECURE, "p", id="large"),
    pytest.param({"https_proxy": "http://p:3128"}, SECURE, "p", id="small"),
    pytest.param(
        {"HTTPS_PROXY": "http://l:1", "https_proxy": "http://s:1"},
        SECURE,
        "s",
        id="small-wins",
    ),
    pytest.param({"HTTP_PROXY": "http://p:3128"}, SECURE, None, id="other-scheme"),
    pytest.param({"HTTP_PROXY": "http://p:3128"}, PLAIN, "p", id="plain"),
    pytest.param({"ALL_PROXY": "http://p:3128"}, PLAIN, "p", id="all"),
    pytest.param({"all_proxy": "http://p:3128"}, SECURE, "p", id="all-small"),
    pytest.param(
        {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p:1"},
        SECURE,
        "p",
        id="own-wins",
    ),
    pytest.param(
        {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": ""}, SECURE, None, id="empty"
    ),
    pytest.param(
        {"HTTPS_PROXY": "http://l:1", "https_proxy": " "}, SECURE, None, id="blank"
    ),
]


@pytest.mark.parametrize(("environment", "origin", "host"), CHOICES)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], origin: Origin, host: str | None
) -> None:
    assert host_for(environment, origin) == host


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_reached_without_a_proxy(scheme: str, host: str) -> None:
    everything: dict[str, str] = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://p:3128"
    )

    assert Proxies(everything).find(Origin(scheme, host, 443)) is None


EXCEPTIONS = [
    ("*", "api.models.example", True),
    ("models.example", "api.models.example", True),
    (".models.example", "api.models.example", True),
    ("*.models.example", "api.models.example", True),
    ("models.example", "models.example", True),
    (".models.example", "models.example", True),
    ("MODELS.example", "api.models.example", True),
    ("models.example", "api.models.example.", True),
    ("models.example", "othermodels.example", False),
    ("els.example", "models.example", False),
    ("api.models.example", "models.example", False),
    ("a.example, models.example", "models.example", True),
    ("a.example models.example", "models.example", True),
    (",, ,", "models.example", False),
    ("", "models.example", False),
    (".", "models.example", False),
    ("models.example:443", "models.example", True),
    ("models.example:8443", "models.example", False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3", "10.1.2.3", True),
    ("10.1.2.3:443", "10.1.2.3", True),
    ("10.1.2.3:80", "10.1.2.3", False),
    ("fd00::/8", "fd00::1", True),
    ("[fd00::1]", "fd00::1", True),
    ("[fd00::1]:443", "fd00::1", True),
    ("[fd00::1]:80", "fd00::1", False),
    ("fd00::1", "fd00::1", True),
    ("10.0.0.0/8", "ten.example", False),
]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(("rules", "host", "is_excepted"), EXCEPTIONS)
def test_some_hosts_are_excepted(
    name: str, rules: str, host: str, is_excepted: bool
) -> None:
    environment = {"ALL_PROXY": "http://p:3128", name: rules}

    found = host_for(environment, Origin("https", host, 443))

    assert (found is None) == is_excepted


ADDRESSES = [
    ("p.example", ("http", "p.example", 80, None, "")),
    ("p.example:3128", ("http", "p.example", 3128, None, "")),
    ("http://p.example/", ("http", "p.example", 80, None, "")),
    ("HTTPS://P.example", ("https", "p.example", 443, None, "")),
    ("http://[::1]:3128", ("http", "::1", 3128, None, "")),
    ("ada:s%40fe@p.example:3128", ("http", "p.example", 3128, "ada", "s@fe")),
    ("http://ada@p.example", ("http", "p.example", 80, "ada", "")),
]


@pytest.mark.parametrize(("value", "expected"), ADDRESSES)
def test_an_address_is_read(
    value: str, expected: tuple[str, str, int, str | None, str]
) -> None:
    proxy = Proxies({"https_proxy": value}).find(SECURE)

    assert proxy is not None
    password = proxy.password.reveal()
    assert (proxy.scheme, proxy.host, proxy.port, proxy.user, password) == expected
    assert proxy.variable == "HTTPS_PROXY"


UNUSABLE = [
    "socks5://ada:s-fe@p.example:1080",
    "http://ada:s-fe@p.example:port",
    "http://ada:s-fe@[p.example",
    "http://ada:s-fe@",
    "http://ada:s-fe@exa mple",
    "http://ada:s-fe@p<example",
    "http://a%3Ada:s-fe@p.example",
    "http://ada:s-fe%E2%82%AC@p.example",
]


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    value: str,
) -> None:
    with pytest.raises(InvalidRequestFailure) as caught:
        Proxies({"ALL_PROXY": value}).find(SECURE)

    failure = caught.value
    text = f"{failure} {failure!r} {failure.__cause__!r} {failure.__context__!r}"
    assert "ALL_PROXY" in failure.message
    assert "s-fe" not in text


def test_a_proxy_does_not_show_its_password() -> None:
    proxy = Proxies({"ALL_PROXY": "http://ada:s-fe@p:1"}).find(SECURE)

    assert isinstance(proxy, Proxy)
    assert "s-fe" not in f"{proxy} {proxy!r}"
