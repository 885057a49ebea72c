"""What vendors' own environment variables say about their entries. Pure.

The variables are those of the vendors' own clients, so that what works there works
here. What they say is not checked: a wrong address fails when it is asked, not when
Tina starts.

Source: the READMEs of the official clients of OpenAI, Anthropic and Ollama; Microsoft
Learn, "Azure OpenAI in Microsoft Foundry Models v1 API".
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from tina.domain.tables import Table
from tina.providers.entries import KeyHeader, KeyUse, Protocol

Environment: TypeAlias = Mapping[str, str]

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OPENAI_HOST = "api.openai.com"
_ANTHROPIC_HOST = "api.anthropic.com"


def overlay(name: str, environment: Environment) -> Table:
    """The fields of an entry that the environment says otherwise; empty if none."""
    say = _VENDORS.get(name)
    return {} if say is None else say(environment)


def is_set(environment: Environment, variable: str) -> bool:
    return bool(_text(environment, variable))


def is_openai(url: str) -> bool:
    """Whether this is OpenAI itself, regional addresses included; by the host alone."""
    return _is_at(url, _OPENAI_HOST)


def _openai(environment: Environment) -> Table:
    said: dict[str, object] = {}
    url = _text(environment, "OPENAI_BASE_URL")
    if url:
        said["base_url"] = url
    if url and not is_openai(url):
        # What others call compatible is chat completions, often without a key.
        return {
            "base_url": url,
            "protocol": Protocol.CHAT.value,
            "key": KeyUse.OPTIONAL.value,
            "title": "",
        }
    headers = {
        header: text
        for variable, header in (
            ("OPENAI_ORG_ID", "OpenAI-Organization"),
            ("OPENAI_PROJECT_ID", "OpenAI-Project"),
        )
        if (text := _text(environment, variable))
    }
    return said | ({"headers": headers} if headers else {})


def _anthropic(environment: Environment) -> Table:
    said: dict[str, object] = {}
    url = _text(environment, "ANTHROPIC_BASE_URL").rstrip("/").removesuffix("/v1")
    if url:
        said["base_url"] = url
    if url and not _is_at(url, _ANTHROPIC_HOST):
        said["key"] = KeyUse.OPTIONAL.value
    if not is_set(environment, "ANTHROPIC_API_KEY") and is_set(
        environment, "ANTHROPIC_AUTH_TOKEN"
    ):
        said["key_env"] = ["ANTHROPIC_AUTH_TOKEN"]
        said["key_header"] = KeyHeader.BEARER.value
    headers = _custom_headers(environment.get("ANTHROPIC_CUSTOM_HEADERS", ""))
    return said | ({"headers": headers} if headers else {})


def _custom_headers(text: str) -> dict[str, str]:
    """`Name: value`, one a line; a line that does not begin with a name is none."""
    lines = (line.partition(":") for line in text.split("\n"))
    return {
        name.strip(): value.strip()
        for name, colon, value in lines
        if colon and _HEADER.fullmatch(name.strip())
    }


def _ollama(environment: Environment) -> Table:
    if not is_set(environment, "OLLAMA_HOST"):
        return {}
    from tina.providers.ollama.host import base_url_for

    url = base_url_for(_text(environment, "OLLAMA_HOST"))
    # A key that lies beside the address is meant for it; the local one wants none.
    return {
        "base_url": url,
        "key": KeyUse.OPTIONAL.value,
        "key_env": ["OLLAMA_API_KEY"],
    }


def _azure(environment: Environment) -> Table:
    endpoint = _text(environment, "AZURE_OPENAI_ENDPOINT").rstrip("/")
    if not endpoint:
        return {}
    return {"base_url": f"{endpoint.removesuffix('/openai/v1')}/openai/v1"}


def _text(environment: Environment, variable: str) -> str:
    return environment.get(variable, "").strip()


def _is_at(url: str, host: str) -> bool:
    try:
        named = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return named == host or named.endswith(f".{host}")


_VENDORS: Mapping[str, Callable[[Environment], Table]] = {
    "anthropic": _anthropic,
    "azure": _azure,
    "ollama": _ollama,
    "openai": _openai,
}
