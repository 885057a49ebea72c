"""One request to a server and its answer, over HTTP; nothing is tried again here."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from tina.domain.chat import Deadlines
from tina.domain.events import KeepAlive, StreamEvent
from tina.domain.failures import (
    ProtocolFailure,
    ProviderFailure,
    TimeoutFailure,
    TruncatedFailure,
)
from tina.domain.ports import Clock
from tina.domain.secret import Secret
from tina.networking.failures import timeout_failure
from tina.networking.http import (
    Credential,
    HttpClient,
    HttpRequest,
    HttpResponse,
)
from tina.networking.ndjson import NdjsonDecoder
from tina.networking.origin import Origin, check_url, join_url
from tina.networking.sse import MAX_EVENT_BYTES, SseDecoder
from tina.providers.batches import decode_batch, with_ends
from tina.providers.dialect import AnswerDecoder, Call, Framing
from tina.providers.entries import ProviderEntry
from tina.providers.errors import failure_for_response
from tina.providers.lenient import read_json

_ERROR_BYTES = 64 * 1024
_DRAIN_S = 0.25
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
# Python 3.11 cannot look for a text in the class itself.
_STREAMS = frozenset(Framing)
_REQUEST_IDS = ("x-request-id", "request-id", "x-generation-id")

MakeDecoder = Callable[[str | None], AnswerDecoder]
"""Makes the decoder of one answer from the request's id at the server."""

Learn = Callable[[Mapping[str, str]], None]
"""Is told the headers of each answer: rate limits stand in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one attempt needs to know."""

    call: Call
    key: Secret | None
    model: str
    deadlines: Deadlines
    make_decoder: MakeDecoder
    learn: Learn


class HttpExchange:
    """Asks a server below the base URL of its entry. `http` stays the caller's."""

    def __init__(
        self,
        name: str,
        entry: ProviderEntry,
        *,
        framing: Framing,
        http: HttpClient,
        clock: Clock,
    ) -> None:
        self._name = name
        self._entry = entry
        self._framing = framing
        self._http = http
        self._clock = clock

    @property
    def origin(self) -> Origin:
        """Where the requests go.

        Raises:
            RefusedOriginFailure: they may not go there.
        """
        return check_url(self._entry.base_url, allow_http=self._entry.allow_http)

    async def answer(self, asked: Question) -> AsyncGenerator[Sequence[StreamEvent]]:
        """What the server says, in batches; consume under `aclosing`.

        Raises:
            ProviderFailure: after the end of each block that began.
        """
        request = self._request(asked.call, asked.key, accept=self._framing)
        async with self._http.open(request, deadlines=asked.deadlines) as response:
            asked.learn(response.headers)
            await self._raise_for_status(response, asked.model, asked.key)
            decoder = asked.make_decoder(_request_id(response.headers))
            batches = self._batches(response, decoder, asked.deadlines)
            async with aclosing(with_ends(batches, decoder)) as answer:
                async for batch in answer:
                    yield batch
            await response.drain(limit_s=_DRAIN_S)

    async def read(
        self,
        call: Call,
        key: Secret | None,
        *,
        deadlines: Deadlines,
        limit_bytes: int,
        model: str = "",
    ) -> bytes:
        """The body of an answer that is no stream.

        Raises:
            ProviderFailure: there is none.
        """
        request = self._request(call, key, accept="application/json")
        async with self._http.open(request, deadlines=deadlines) as response:
            await self._raise_for_status(response, model, key)
            return await response.read(limit_bytes=limit_bytes)

    async def close(self) -> None:
        """Nothing to do: the connections belong to the HTTP client."""

    def _request(self, call: Call, key: Secret | None, *, accept: str) -> HttpRequest:
        headers = {"Accept": accept, **self._entry.headers, **call.headers}
        body = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            body = msgspec.json.encode(call.body)
        return HttpRequest(
            method=call.method,
            url=join_url(self._entry.base_url, call.path),
            headers=headers,
            credential=self._credential(key),
            body=body,
            allow_http=self._entry.allow_http,
        )

    def _credential(self, key: Secret | None) -> Credential | None:
        if key is None:
            return None
        header = self._entry.key_header
        return Credential(
            secret=key,
            origin=self.origin,
            header=header,
            prefix=header.prefix,
        )

    def _batches(
        self, response: HttpResponse, decoder: AnswerDecoder, deadlines: Deadlines
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        media_type = response.headers.get("content-type", "").partition(";")[0]
        media_type = media_type.strip().lower()
        if media_type in _STREAMS:
            reader = make_reader(Framing(media_type), decoder)
            return self._streamed(response, reader, decoder, deadlines)
        if media_type == "application/json":
            return self._in_one_piece(response, decoder)
        shown = media_type if _MEDIA_TYPE.fullmatch(media_type) else "something else"
        raise ProtocolFailure(
            f"{self._name} answered with {shown} instead of a stream. "
            "Check that the base URL is that of the API.",
            status=response.status,
        )

    async def _streamed(
        self,
        response: HttpResponse,
        reader: "StreamReader",
        decoder: AnswerDecoder,
        deadlines: Deadlines,
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        pulse = Pulse(self._name, self._clock, deadlines)
        is_empty = True
        failure: ProviderFailure | None = None
        lost: ProviderFailure | None = None
        try:
            async with aclosing(response.chunks()) as chunks:
                async for chunk in chunks:
                    is_empty = False
                    events, failure = reader.feed(chunk)
                    pulse.check(events)
                    if events:
                        yield events
                    if failure is not None or decoder.is_done:
                        break
        except (TruncatedFailure, TimeoutFailure) as error:
            lost = error
        if failure is None:
            events, failure = reader.end()
            if events:
                yield events
        # Once the model has ended its answer, only the server's goodbye was lost.
        failure = failure or (None if decoder.is_whole else lost)
        if failure is not None:
            raise failure
        yield self._finish(decoder, is_empty=is_empty)

    async def _in_one_piece(
        self, response: HttpResponse, decoder: AnswerDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        """A server that does not stream, or that refuses with status 200."""
        body = (await response.read(limit_bytes=MAX_EVENT_BYTES)).strip()
        if body:
            yield decoder.feed(body)
        try:
            events = self._finish(decoder, is_empty=not body)
        except TruncatedFailure as error:  # it was sent whole, so it never was one
            raise ProtocolFailure(
                f"{self._name} answered with something that is no answer. "
                "Check that the base URL is that of the API."
            ) from error
        yield events

    def _finish(self, decoder: AnswerDecoder, *, is_empty: bool) -> list[StreamEvent]:
        if is_empty:
            raise ProtocolFailure(
                f"{self._name} answered with nothing. Try again; if it stays so, "
                "check the base URL."
            )
        return decoder.finish()

    async def _raise_for_status(
        self, response: HttpResponse, model: str, key: Secret | None
    ) -> None:
        if 200 <= response.status < 300:
            return
        body = b""
        with suppress(ProviderFailure):  # the status says enough without its text
            body = await response.read(limit_bytes=_ERROR_BYTES)
        if key is not None:
            # Before it is shortened: half a key would not be recognized.
            body = key.mask(body.decode("utf-8", "replace")).encode()
        raise failure_for_response(
            response.status,
            body,
            response.headers,
            model=model,
            now=self._clock.now(),
            provider=self._name,
        )


class StreamReader:
    """The bytes of a stream, through its framing, into a decoder. Pure."""

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        """What the chunk says, and the failure that ends the stream, if it does."""
        raise NotImplementedError

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        """What stands behind the last line end: some servers omit it."""
        raise NotImplementedError


class _SseReader(StreamReader):
    def __init__(self, decoder: AnswerDecoder) -> None:
        self._sse = SseDecoder()
        self._decoder = decoder

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            arrived = self._sse.feed(chunk)
        except ProviderFailure as failure:
            return [], failure
        feed = self._decoder.feed
        return decode_batch(lambda event: feed(event.data, event=event.event), arrived)

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            data = self._sse.pending
        except ProviderFailure as failure:
            return [], failure
        if data is None or read_json(data.encode("utf-8", "replace")) is None:
            return [], None
        return decode_batch(self._decoder.feed, [data])


class _NdjsonReader(StreamReader):
    def __init__(self, decoder: AnswerDecoder) -> None:
        self._lines = NdjsonDecoder()
        self._decoder = decoder

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            arrived = self._lines.feed(chunk)
        except ProviderFailure as failure:
            return [], failure
        return decode_batch(partial(self._decoder.feed), arrived)

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        line = self._lines.pending
        if line is None or read_json(line) is None:
            return [], None
        return decode_batch(self._decoder.feed, [line])


def make_reader(framing: Framing, decoder: AnswerDecoder) -> StreamReader:
    """A reader of one stream."""
    if framing is Framing.SSE:
        return _SseReader(decoder)
    return _NdjsonReader(decoder)


class Pulse:
    """The deadline of a server that only says that it lives."""

    def __init__(self, name: str, clock: Clock, deadlines: Deadlines) -> None:
        self._name = name
        self._clock = clock
        self._limit_s = deadlines.heartbeat_timeout_s
        self._said_at = clock.monotonic()

    def check(self, events: Sequence[StreamEvent]) -> None:
        """Note what came.

        Raises:
            TimeoutFailure: nothing but heartbeats came for too long.
        """
        now = self._clock.monotonic()
        if any(not isinstance(event, KeepAlive) for event in events):
            self._said_at = now
        elif now - self._said_at > self._limit_s:
            raise timeout_failure(
                f"{self._name} lives, but said nothing",
                "heartbeat_timeout_s",
                self._limit_s,
            )


def _request_id(headers: Mapping[str, str]) -> str | None:
    found = (headers.get(name) for name in _REQUEST_IDS)
    return next((value for value in found if value), None)
