"""Makes a database as somebody has it after years of talking; the same in every run.

Words are as frequent as words are (Zipf), conversations of very different length, and
each is talked in for a while now and then, so that its messages lie far apart in the
file. Rows are inserted without triggers, which are put back; what the triggers would
have done for search is done in one statement.
"""

import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import apsw

from tina.domain.ids import uuid7

SEED = 20_261_123
VOCABULARY = 60_000
TAPE_WORDS = 3_000_000
"""Texts are pieces of one long tape: drawing each word anew takes ten times as long."""

SITTING = 20
"""Messages that follow each other before another conversation goes on."""

BEGUN_MS = 1_640_995_200_000  # 2022
STEP_MS = 150_000
WORDS = {"user": (4, 70), "assistant": (40, 430)}
MODELS = ("openai:gpt-6", "local:smollm2", "openai:gpt-6-mini")
LONG_MESSAGES = 500

_CONVERSATION = """
INSERT INTO conversations (
  owner_id, id, title, tip_id, message_count, preview, created_at, last_message_at
) VALUES (1, ?, ?, ?, ?, ?, ?, ?)
"""
_MESSAGE = """
INSERT INTO messages (
  owner_id, id, conversation_id, seq, parent_id, role, status, text, model,
  stop_reason, created_at
) VALUES (1, ?, ?, ?, ?, ?, 'complete', ?, ?, ?, ?)
"""
_TURN = """
INSERT INTO turns (
  owner_id, id, conversation_id, answer_id, request, status, created_at, started_at,
  ended_at
) VALUES (1, ?, ?, ?, '{}', 'done', ?, ?, ?)
"""
_USAGE = """
INSERT INTO usage (
  owner_id, message_id, conversation_id, model, input_tokens, output_tokens, created_at
) VALUES (1, ?, ?, ?, ?, ?, ?)
"""


class History(NamedTuple):
    """What was made: its words, the most frequent first, and a long conversation."""

    words: list[str]
    long_conversation: str
    text_bytes: int


class _Talk:
    """A conversation while it is written."""

    def __init__(self, conversation_id: bytes, messages: int) -> None:
        self.id = conversation_id
        self.messages = messages
        self.seq = 0
        self.tip: bytes | None = None
        self.preview = ""
        self.begun_ms = 0
        self.ended_ms = 0


def make_history(path: Path, *, conversations: int, messages: int) -> History:
    """Fill a file that Tina has made and nobody has open."""
    draw = random.Random(SEED)  # noqa: S311 - no secret, and the same in every run
    words = _vocabulary(draw)
    writing = _Writing(draw, words)
    talks = _talks(draw, conversations=conversations, messages=messages)
    connection = apsw.Connection(str(path))
    try:
        # Conversations are written last, when it is known what was said in them.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        connection.execute("BEGIN IMMEDIATE")
        triggers = list(
            connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            )
        )
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        _write(connection, writing, talks)
        connection.execute(
            "INSERT INTO search_backlog SELECT rid FROM messages WHERE text <> ''"
        )
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return History(words, talks[0].id.hex(), writing.text_bytes)


def _vocabulary(draw: random.Random) -> list[str]:
    """Words, the most frequent and shortest first."""
    syllables = [a + b for a in "bdfghjklmnprstvz" for b in "aeiou"]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        count = 1 + bisect([60, 2_500], len(words)) + draw.randrange(2)
        words["".join(draw.choices(syllables, k=count))] = None
    return list(words)


def _talks(draw: random.Random, *, conversations: int, messages: int) -> list[_Talk]:
    """The first has exactly so many messages that it counts as long."""
    rest = messages - LONG_MESSAGES
    weights = [draw.paretovariate(1.2) for _ in range(conversations - 1)]
    whole = sum(weights)
    sizes = [2 * max(1, round(weight / whole * rest / 2)) for weight in weights]
    sizes[sizes.index(max(sizes))] += rest - sum(sizes)
    return [_Talk(_id(draw, BEGUN_MS), size) for size in (LONG_MESSAGES, *sizes)]


def _id(draw: random.Random, now_ms: int) -> bytes:
    return bytes.fromhex(uuid7(now_ms=now_ms, random_bits=draw.getrandbits(74)))


class _Writing:
    def __init__(self, draw: random.Random, words: list[str]) -> None:
        frequencies = accumulate(1 / (rank + 2.7) for rank in range(len(words)))
        self.draw = draw
        self._tape = draw.choices(words, cum_weights=list(frequencies), k=TAPE_WORDS)
        self.text_bytes = 0

    def text(self, role: str) -> str:
        length = self.draw.randint(*WORDS[role])
        at = self.draw.randrange(TAPE_WORDS - length)
        text = " ".join(self._tape[at : at + length])
        self.text_bytes += len(text)
        return text


def _write(connection: apsw.Connection, writing: _Writing, talks: list[_Talk]) -> None:
    now_ms = BEGUN_MS
    for talk, count in _sittings(writing.draw, talks):
        rows = list(_messages(writing, talk, count, now_ms))
        now_ms += STEP_MS * count
        connection.executemany(_MESSAGE, rows)
        answers = [row for row in rows if row[4] == "assistant"]
        connection.executemany(
            _TURN,
            (
                (_id(writing.draw, row[8]), talk.id, row[0], row[8], row[8], row[8])
                for row in answers
            ),
        )
        connection.executemany(
            _USAGE,
            (
                (row[0], talk.id, row[6], 200, len(row[5]) // 4, row[8])
                for row in answers
            ),
        )
    connection.executemany(
        _CONVERSATION,
        (
            (
                talk.id,
                talk.preview[:40],
                talk.tip,
                talk.seq,
                talk.preview,
                talk.begun_ms,
                talk.ended_ms,
            )
            for talk in talks
        ),
    )


def _sittings(draw: random.Random, talks: list[_Talk]) -> Iterator[tuple[_Talk, int]]:
    """Who is talked with next, and for how many messages."""
    sittings = [
        (talk, min(SITTING, talk.messages - at))
        for talk in talks
        for at in range(0, talk.messages, SITTING)
    ]
    draw.shuffle(sittings)
    return iter(sittings)


def _messages(
    writing: _Writing, talk: _Talk, count: int, now_ms: int
) -> Iterator[
    tuple[bytes, bytes, int, bytes | None, str, str, str | None, str | None, int]
]:
    talk.begun_ms = talk.begun_ms or now_ms
    for at in range(count):
        role = "assistant" if talk.seq % 2 else "user"
        text = writing.text(role)
        created_ms = now_ms + at * STEP_MS
        message_id = _id(writing.draw, created_ms)
        model = writing.draw.choice(MODELS) if role == "assistant" else None
        stop_reason = "stop" if role == "assistant" else None
        yield (
            message_id,
            talk.id,
            talk.seq,
            talk.tip,
            role,
            text,
            model,
            stop_reason,
            created_ms,
        )
        talk.tip, talk.preview, talk.ended_ms = message_id, text[:120], created_ms
        talk.seq += 1
