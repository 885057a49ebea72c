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
