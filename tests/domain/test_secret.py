from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from tina.domain.secret import Secret, variable_for


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("my-server", "MY_SERVER_API_KEY"),
        ("my-server.example", "MY_SERVER_EXAMPLE_API_KEY"),
    ],
)
def test_a_provider_has_one_variable_for_its_key(provider: str, variable: str) -> None:
    assert variable_for(provider) == variable


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("key sk-A.1 is wrong", "key *** is wrong"),
        ("https://sk-a.1.example", "https://***.example"),
        ("sk-A.1sk-A.1", "******"),
        ("sk-A*****1", "sk-A*****1"),
        ("sk-Ax1", "sk-Ax1"),
    ],
)
def test_a_secret_is_masked_in_any_case_and_nothing_else_is(
    text: str, masked: str
) -> None:
    assert Secret("sk-A.1").mask(text) == masked


KEY = "sk-ant-api03-SECRETsecret0123456789~abc"


@pytest.mark.parametrize(
    "echoed",
    [
        pytest.param(KEY[:24], id="its-beginning"),
        pytest.param(KEY[13:21], id="eight-characters"),
        pytest.param(KEY[-12:].upper(), id="its-end-in-another-case"),
        pytest.param(quote(KEY, safe=""), id="in-an-address"),
        *(
            pytest.param(b64encode(before + KEY.encode()).decode(), id=f"base64-{n}")
            for n, before in enumerate([b"", b"x", b"ab"])
        ),
        pytest.param(urlsafe_b64encode(KEY.encode()).decode(), id="base64-of-urls"),
    ],
)
def test_no_part_of_a_secret_is_shown_in_any_form(echoed: str) -> None:
    masked = Secret(KEY).mask(f"Wrong key: {echoed}!")

    assert masked.startswith("Wrong key: ")
    assert masked.endswith("!")
    runs = {echoed[start : start + 8] for start in range(3, len(echoed) - 10)}
    assert not any(run in masked for run in runs)


def test_seven_characters_tell_nothing() -> None:
    text = f"It ends in {KEY[-7:]}."

    assert Secret(KEY).mask(text) == text


def test_an_empty_secret_hides_nothing() -> None:
    assert Secret("").mask("a text") == "a text"


def test_secrets_are_equal_if_their_values_are() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
