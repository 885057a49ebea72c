"""What the vendors' own variables mean, one by one; how they lie: test_catalog."""

from collections.abc import Mapping

import pytest

from tina.providers.environment import is_openai, is_set, overlay

KEY = "sk-1"


@pytest.mark.parametrize(
    ("name", "environment", "said"),
    [
        pytest.param("openai", {}, {}, id="nothing"),
        pytest.param("openai", {"OPENAI_BASE_URL": " \n"}, {}, id="a-blank-address"),
        pytest.param("groq", {"OPENAI_BASE_URL": "https://x"}, {}, id="for-another"),
        pytest.param(
            "openai",
            {"OPENAI_BASE_URL": " https://eu.api.openai.com/v1\n"},
            {"base_url": "https://eu.api.openai.com/v1"},
            id="openai-in-another-region",
        ),
        pytest.param(
            "openai",
            {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-2"},
            {"headers": {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-2"}},
            id="openai-organization-and-project",
        ),
        pytest.param(
            "openai",
            {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1", "OPENAI_ORG_ID": "org-1"},
            {
                "base_url": "http://127.0.0.1:8080/v1",
                "protocol": "openai-chat",
                "key": "optional",
                "title": "",
            },
            id="openai-compatible-learns-no-organization",
        ),
        pytest.param(
            "openai",
            {"OPENAI_BASE_URL": "https://[::1"},
            {
                "base_url": "https://[::1",
                "protocol": "openai-chat",
                "key": "optional",
                "title": "",
            },
            id="openai-no-address-at-all",
        ),
        pytest.param("anthropic", {"ANTHROPIC_API_KEY": KEY}, {}, id="anthropic-key"),
        pytest.param(
            "anthropic",
            {"ANTHROPIC_AUTH_TOKEN": KEY},
            {"key_env": ["ANTHROPIC_AUTH_TOKEN"], "key_header": "authorization"},
            id="anthropic-token",
        ),
        pytest.param(
            "anthropic",
            {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": "other"},
            {},
            id="anthropic-key-before-token",
        ),
        pytest.param(
            "anthropic",
            {"ANTHROPIC_BASE_URL": "https://eu.api.anthropic.com/"},
            {"base_url": "https://eu.api.anthropic.com"},
            id="anthropic-address",
        ),
        pytest.param(
            "anthropic",
            {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1234/v1/"},
            {"base_url": "http://127.0.0.1:1234", "key": "optional"},
            id="anthropic-compatible-with-a-v1-too-many",
        ),
        pytest.param(
            "anthropic",
            {"ANTHROPIC_CUSTOM_HEADERS": "X-A: red\n\nodd\r\n: x\nX Y: z\nX-B:a:b\r"},
            {"headers": {"X-A": "red", "X-B": "a:b"}},
            id="anthropic-headers",
        ),
        pytest.param("ollama", {"OLLAMA_API_KEY": KEY}, {}, id="ollama-key-alone"),
        pytest.param(
            "ollama",
            {"OLLAMA_HOST": "box:7000"},
            {
                "base_url": "http://box:7000",
                "key": "optional",
                "key_env": ["OLLAMA_API_KEY"],
            },
            id="ollama-host",
        ),
        pytest.param("azure", {}, {}, id="azure-nothing"),
        pytest.param(
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/"},
            {"base_url": "https://mine.openai.azure.com/openai/v1"},
            id="azure-resource",
        ),
        pytest.param(
            "azure",
            {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/openai/v1/"},
            {"base_url": "https://mine.openai.azure.com/openai/v1"},
            id="azure-whole-address",
        ),
    ],
)
def test_a_variable_says_what_its_vendor_means_by_it(
    name: str, environment: Mapping[str, str], said: Mapping[str, object]
) -> None:
    assert overlay(name, environment) == said


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", True),
        ("https://API.openai.com./v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://evilapi.openai.com.example", False),
        ("https://notapi.openai.com", False),
        ("https://evil.example/api.openai.com", False),
        ("https://api.openai.com@evil.example/v1", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_openai_is_known_by_its_host_alone(url: str, *, expected: bool) -> None:
    assert is_openai(url) is expected


def test_a_blank_variable_is_not_set() -> None:
    assert is_set({"A": "x"}, "A")
    assert not is_set({"A": " \n"}, "A")
    assert not is_set({}, "A")
