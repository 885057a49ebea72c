"""One request to a server and its answer, over HTTP; nothing is tried again here."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import msgspec

from tina.domain.chat import Deadlines
from tina.domain.events import StreamEvent
from tina.domain.failures import (
    Failure,
    ProtocolFailure,
    ProviderFailure,
    TruncatedFailure,
)
from tina.domain.ports import Clock
from tina.domain.secret import Secret
from tina.networking.http import (
    Credential,
    HttpClient,
    HttpRequest,
    HttpResponse,
)
from tina.networking.origin import Origin, check_url, join_url
from tina.networking.sse import MAX_EVENT_BYTES
from tina.providers.dialect import AnswerDecoder, Call, Framing
from tina.providers.entries import ProviderEntry
from tina.providers.errors import failure_for_response
from tina.providers.streams import Pulse, Stream, make_reader, no_answer, said_nothing

_ERROR_BYTES = 64 * 1024
_DRAIN_S = 0.25
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
# Python 3.11 cannot look for a text in the class itself.
_STREAMS = frozenset(Framing)
_UNNAMED = frozenset({"", "application/octet-stream", "text/plain"})
"""What servers say that name nothing: their streams are what was asked for."""
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
    left_s: float
    """Of the total; attempts before had their part of it."""
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
        async with self._http.open(
            request, deadlines=asked.deadlines, left_s=asked.left_s
        ) as response:
            asked.learn(response.headers)
            await self._raise_for_status(response, asked.model, asked.key)
            decoder = asked.make_decoder(_request_id(response.headers))
            stream = self._stream(response, decoder, asked.deadlines)
            del request, asked  # the prompt, which may be large
            try:
                # A stream is read by a coroutine: for a batch to pass a generator
                # costs as much as decoding it.
                if stream is not None:
                    while (batch := await stream.next()) is not None:
                        yield batch
                else:
                    pieces = self._in_one_piece(response, decoder)
                    async with aclosing(pieces):
                        async for batch in pieces:
                            yield batch
            except Failure:
                if ends := decoder.abandon():
                    yield ends
                raise
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

    def _stream(
        self, response: HttpResponse, decoder: AnswerDecoder, deadlines: Deadlines
    ) -> Stream | None:
        """The answer, if it is a stream; None if it comes in one piece.

        Raises:
            ProtocolFailure: it is neither.
        """
        media_type = response.headers.get("content-type", "").partition(";")[0]
        media_type = media_type.strip().lower()
        is_guess = media_type in _UNNAMED
        if is_guess or media_type in _STREAMS:
            framing = self._framing if is_guess else Framing(media_type)
            return Stream(
                self._name,
                response,
                make_reader(framing, decoder),
                decoder,
                Pulse(self._name, self._clock, deadlines),
                is_guess=is_guess,
            )
        if media_type == "application/json":
            return None
        shown = media_type if _MEDIA_TYPE.fullmatch(media_type) else "something else"
        raise ProtocolFailure(
            f"{self._name} answered with {shown} instead of a stream. "
            "Check that the base URL is that of the API.",
            status=response.status,
        )

    async def _in_one_piece(
        self, response: HttpResponse, decoder: AnswerDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        """A server that does not stream, or that refuses with status 200."""
        body = (await response.read(limit_bytes=MAX_EVENT_BYTES)).strip()
        if not body:
            raise said_nothing(self._name)
        yield decoder.feed(body)
        try:
            events = decoder.finish()
        except TruncatedFailure as error:  # it was sent whole, so it never was one
            raise no_answer(self._name) from error
        yield events

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


def _request_id(headers: Mapping[str, str]) -> str | None:
    found = (headers.get(name) for name in _REQUEST_IDS)
    return next((value for value in found if value), None)
