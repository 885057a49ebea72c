"""What Tina promises, as data: one entry per behaviour, each proven by a test.

A test names what it proves: `@pytest.mark.requirement("architecture:rooms")`.
`tests/architecture/test_requirements.py` accepts neither without the other.
An id is `room:subject` or `room:subject:outcome`; entries are sorted by id.
"""

from typing import NamedTuple


class Requirement(NamedTuple):
    id: str
    sentence: str
    source: str
    """The document, standard or issue that asks for it."""


REQUIREMENTS = (
    Requirement(
        "architecture:exports",
        "What a room offers stands in its `__all__`, and all of it exists.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:pure",
        "A pure module imports nothing that waits, draws lots or touches the world.",
        "CONTRIBUTING.md, Where code goes",
    ),
    Requirement(
        "architecture:rooms",
        "Imports run downward, neighbours do not meet, a new folder is given a place.",
        "CONTRIBUTING.md, Where code goes",
    ),
    Requirement(
        "architecture:sizes",
        "No module is longer than 400 lines, no function longer than 40.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:start",
        "Nothing heavy is imported before it is used.",
        "CONTRIBUTING.md, Rules that tests enforce",
    ),
    Requirement(
        "architecture:tests:leave-nothing",
        "A test that leaves a thread, a process or a descriptor behind fails.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "architecture:tests:no-network",
        "A test that reaches for another machine fails.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "architecture:tests:no-secrets",
        "No test sees the keys, addresses or home of whoever runs it.",
        "CONTRIBUTING.md, Tests",
    ),
    Requirement(
        "cli:ctrl-c:keeps-text",
        "Ctrl-C stops the answer, keeps what was said and exits with 130.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "cli:pipe-closed:keeps-text",
        "A closed pipe stops the answer, keeps what was said and exits with 141.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "cli:sigterm:keeps-text",
        "SIGTERM leaves the answer interrupted with its text and exits with 143.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "death:kill:bounded-loss",
        "kill -9 breaks nothing and costs at most 50 ms (p95) of what was delivered.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "death:kill:continues",
        "A killed answer can be continued.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "networking:deadlines",
        "Connecting, headers, silence and the whole answer each have their deadline.",
        "tina.domain.chat.Deadlines",
    ),
    Requirement(
        "networking:origin:https-only",
        "Plain http to another machine is refused before anything is sent.",
        "RFC 9110, section 17.11",
    ),
    Requirement(
        "networking:origin:no-redirect",
        "A redirect is not followed, so no key reaches a place that nobody named.",
        "RFC 9110, section 15.4",
    ),
    Requirement(
        "networking:sse:any-cut",
        "Server-sent events are read as the standard says, wherever bytes are cut.",
        "HTML standard, Server-sent events",
    ),
    Requirement(
        "networking:sse:bounded",
        "An event over the limit is refused, and what came before it is kept.",
        "tina.networking.sse",
    ),
    Requirement(
        "providers:capture:any-cut",
        "Every recorded answer gives the same events, wherever its bytes are cut.",
        "OpenAI API reference, Chat Completions, streaming",
    ),
    Requirement(
        "providers:cut:exact-prefix",
        "A stream that is cut gives an exact prefix of the answer, never a whole one.",
        "RFC 9112, section 8",
    ),
    Requirement(
        "providers:key:never-shown",
        "A key that a server repeats is in no message, cause, record or log.",
        "tina.domain.secret",
    ),
    Requirement(
        "providers:local-deadlines",
        "The local model has a total and an idle deadline; failures name the option.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "providers:local-stop:one-token",
        "The local model stops within one token.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "providers:no-answer:fails",
        "A success that is no answer is a failure.",
        "OpenAI API reference, Chat Completions",
    ),
    Requirement(
        "providers:overflow:both-numbers",
        "A prompt that does not fit is refused with its size and the window's.",
        "tina.domain.failures.ContextOverflowFailure",
    ),
    Requirement(
        "providers:pull:leaves-nothing",
        "A pull that fails or is cancelled leaves nothing.",
        "docs/design/local-model.md",
    ),
    Requirement(
        "turn:failure:keeps-text",
        "A failed answer keeps what was said, and its failure.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:leaving:keeps-text",
        "A process that leaves settles its answers as interrupted.",
        "docs/design/answer-as-data.md",
    ),
    Requirement(
        "turn:stop:keeps-text",
        "A stopped answer keeps what was said.",
        "docs/design/answer-as-data.md",
    ),
)
