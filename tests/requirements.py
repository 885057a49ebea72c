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
