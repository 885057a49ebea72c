"""`tina models`: what can answer here."""

import json

import pytest

from tina.cli.models import check, list_models, list_tools
from tina.testing.server import PlaybackServer, Recording

pytestmark = pytest.mark.anyio


async def test_providers_that_cannot_be_asked_are_told_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = await check(["local", "nobody", "groq"])

    told = capsys.readouterr()
    assert code == 1
    assert told.out == "local: ready\n"
    lines = told.err.splitlines()
    assert lines[0].startswith("tina: nobody: There is no provider 'nobody'.")
    assert lines[1].startswith("tina: groq: groq wants a key")


async def test_all_that_are_set_up_are_checked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await check([]) == 0
    assert capsys.readouterr().out == "local: ready\n"


async def test_tools_of_the_providers_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")

    code = await list_tools(as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert all(line.startswith("anthropic: ") for line in lines)
    assert any("web_search" in line for line in lines)


async def test_tools_are_listed_for_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")

    assert await list_tools(as_json=True) == 0

    listed = json.loads(capsys.readouterr().out)
    assert {each["provider"] for each in listed} == {"anthropic"}
    assert "web_search" in {each["name"] for each in listed}


async def test_a_provider_is_checked_by_its_name_in_any_case(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await check(["GROQ"])

    assert "GROQ_API_KEY" in capsys.readouterr().err


async def test_it_is_said_that_nobody_runs_tools(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await list_tools(as_json=False) == 0

    told = capsys.readouterr()
    assert told.out == ""
    assert "tina models list" in told.err


async def test_a_provider_that_cannot_list_hides_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    code = await list_models(refresh=True, as_json=False)

    told = capsys.readouterr()
    assert code == 1
    assert "local:smollm2" in told.out
    assert told.err.startswith("tina: openai: Nothing answers")


async def test_a_server_writes_no_lines_of_its_own_into_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [{"id": "evil\nlocal:other"}, {"id": "x" * 10_000}]
    body = json.dumps({"data": names}).encode()
    listed = Recording(headers=(("Content-Type", "application/json"),), chunks=(body,))
    async with PlaybackServer(listed) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        await list_models(refresh=True, as_json=False)

    lines = capsys.readouterr().out.splitlines()
    assert "openai:evil local:other" in [line.strip() for line in lines]
    assert max(map(len, lines)) < 400
