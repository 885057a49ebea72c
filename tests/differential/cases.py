"""Answers that are played to Tina and to the SDKs alike."""

from pathlib import Path
from typing import NamedTuple

from benchmarks._streaming_wire import Protocol
from tina.testing.server import Ending, Recording

RECORDINGS = Path(__file__).parents[1] / "recordings"
_NO_ANSWERS = frozenset({"models_list", "msg_count_tokens", "ollama_tags"})
_WORDS = {
    "msg_": Protocol.ANTHROPIC,
    "resp_": Protocol.RESPONSES,
    "ollama_": Protocol.OLLAMA,
}
_NO_QUESTIONS = frozenset({"err_wrong_method", "resp_err_retrieve_unknown_path"})
_STREAMS = {".sse": "text/event-stream", ".ndjson": "application/x-ndjson"}
JSON = "application/json"


class Case(NamedTuple):
    """An answer, and whether a stream is asked for."""

    name: str
    protocol: Protocol
    body: bytes
    status: int = 200
    media_type: str = ""
    """Of the answer; otherwise that of the protocol's streams."""
    is_streamed: bool = True
    ending: Ending = Ending.COMPLETE

    @property
    def recording(self) -> Recording:
        is_ndjson = self.protocol is Protocol.OLLAMA
        streamed = _STREAMS[".ndjson" if is_ndjson else ".sse"]
        return Recording(
            status=self.status,
            headers=(("Content-Type", self.media_type or streamed),),
            chunks=(self.body,),
            ending=self.ending,
        )


def recorded() -> list[Case]:
    """Every recording of an answer or an error."""
    return [
        _read(path)
        for path in sorted(RECORDINGS.iterdir())
        if path.suffix in (".json", *_STREAMS)
        and path.stem not in _NO_ANSWERS | _NO_QUESTIONS
    ]


def _read(path: Path) -> Case:
    return Case(
        name=path.stem,
        protocol=_protocol_of(path.stem),
        body=path.read_bytes(),
        status=_status_of(path),
        media_type=_STREAMS.get(path.suffix, JSON),
        is_streamed=path.suffix in _STREAMS,
    )


def _status_of(path: Path) -> int:
    """As recorded; the others are good ones, written down from documentation."""
    head = path.with_name(f"{path.stem}.headers.txt")
    return int(head.read_text(encoding="ascii").split()[1]) if head.exists() else 200


def _protocol_of(name: str) -> Protocol:
    for word, protocol in _WORDS.items():
        if word in name:
            return protocol
    return Protocol.CHAT
