"""Tina's adapters and the vendors' own SDKs hear the same in the same answer.

Where they do not, `listed` says so, and why. A difference that is not listed fails
here, and so does one that is listed and is gone.
"""

import anyio
import pytest

from benchmarks._streaming_wire import Protocol
from tests.differential.cases import Case, recorded
from tests.differential.heard import Heard, compare
from tests.differential.listed import LISTED
from tests.differential.refusals import REFUSALS
from tests.differential.sdks import (
    AskSdk,
    ask_anthropic,
    ask_chat,
    ask_ollama,
    ask_responses,
)
from tests.differential.streams import HAND_MADE
from tests.differential.tinas import ask_tina, open_tina
from tina.domain.chat import StopReason
from tina.testing.server import PlaybackServer

pytestmark = pytest.mark.anyio

CASES = [*recorded(), *HAND_MADE, *REFUSALS]
ASK: dict[Protocol, AskSdk] = {
    Protocol.ANTHROPIC: ask_anthropic,
    Protocol.CHAT: ask_chat,
    Protocol.RESPONSES: ask_responses,
    Protocol.OLLAMA: ask_ollama,
}
DIFFERENCES = {listed.case: listed.fields for listed in LISTED}


async def hear_both(case: Case) -> tuple[Heard, Heard]:
    """What the SDK hears, and what Tina hears, from the same server."""
    async with PlaybackServer(case.recording) as server:
        base_url = f"http://127.0.0.1:{server.port}"
        with anyio.fail_after(30):
            theirs = await ASK[case.protocol](base_url, case.is_streamed)
            async with open_tina(case.protocol, base_url) as provider:
                own = await ask_tina(provider)
    return theirs, own


@pytest.mark.requirement("providers:same-as-sdks")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_they_hear_the_same_but_for_what_is_listed(case: Case) -> None:
    theirs, own = await hear_both(case)

    assert compare(theirs, own) == DIFFERENCES.get(case.name, {})


def test_every_listed_difference_is_that_of_one_case() -> None:
    listed = [entry.case for entry in LISTED]

    assert len(listed) == len(set(listed))
    assert set(listed) <= {case.name for case in CASES}
    assert all(entry.why and entry.fields for entry in LISTED)


def test_an_unlisted_difference_would_be_seen() -> None:
    theirs = Heard(text="Half an ans", stop=StopReason.STOP)
    own = Heard(text="Half an answer", error="truncated")

    assert compare(theirs, theirs) == {}
    assert set(compare(theirs, own)) == {"text", "stop", "error"}
    assert compare(Heard(error="BadRequestError"), Heard(error="server"))
    assert not compare(Heard(error="BadRequestError"), Heard(error="invalid_request"))
