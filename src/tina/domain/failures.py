"""What can go wrong, in Tina's own words.

    Failure
    ├── InvalidInputFailure         what a person gave cannot be used
    ├── NotFoundFailure             no such conversation or message
    ├── NothingToContinueFailure    the last answer is whole, or still being written
    ├── NotWaitingFailure           the tool call was decided or has ended before
    ├── TipMovedFailure             somebody else wrote into the conversation meanwhile
    ├── ModelUnavailableFailure     the model is known, but not here (weights, engine)
    ├── NoKeyFailure                the provider wants a key and there is none
    ├── SpendingLimitFailure        a limit that a person set is reached
    ├── ClosedFailure               used after it was closed
    ├── InternalFailure             Tina's own fault; the log has the details
    ├── StorageFailure              the database could not do it
    │   ├── BusyFailure             another process holds the database
    │   ├── DamagedFailure          the file is not whole
    │   ├── DiskFullFailure         no room left
    │   ├── ForeignFileFailure      the file is a database, but not Tina's
    │   ├── NewerFileFailure        a later Tina wrote the file
    │   ├── OlderFileFailure        an older Tina wrote the file, and it is in use
    │   ├── UnsupportedDiskFailure  the file would lie on another machine's disk
    │   ├── UnsupportedSqliteFailure  this SQLite can corrupt files
    │   └── UnwritableFailure       the folder or file cannot be written
    └── ProviderFailure             a model's server refused, broke or fell silent
        ├── AuthenticationFailure   ├── OverloadFailure
        ├── PermissionFailure       ├── ServerFailure
        ├── BillingFailure          ├── TimeoutFailure
        ├── ModelNotFoundFailure    ├── ConnectionFailure
        ├── InvalidRequestFailure   ├── TruncatedFailure
        ├── ContextOverflowFailure  ├── ProtocolFailure
        ├── TooLargeFailure         ├── RefusedOriginFailure
        └── RateLimitFailure        └── CircuitOpenFailure

A failure is raised inside Tina. It becomes a value (`FailureRecord`) where it is
data: in a stored message, in JSON for a program.
"""

from typing import ClassVar

import msgspec


class FailureRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A failure as data.

    `kind` is the stable word for programs, `message` the sentence for people.
    """

    kind: str
    message: str
    retryable: bool = False
    retry_after_s: float | None = None
    provider: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


class Failure(Exception):
    """The root; never raised itself. Its text is one sentence or two for a person."""

    kind: ClassVar[str] = "failure"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_record(self) -> FailureRecord:
        return FailureRecord(
            kind=self.kind, message=self.message, retryable=self.retryable
        )


class InvalidInputFailure(Failure):
    kind = "invalid_input"


class NotFoundFailure(Failure):
    kind = "not_found"


class NothingToContinueFailure(Failure):
    kind = "nothing_to_continue"


class NotWaitingFailure(Failure):
    kind = "not_waiting"


class TipMovedFailure(Failure):
    kind = "tip_moved"
    retryable = True


class ModelUnavailableFailure(Failure):
    kind = "model_unavailable"


class NoKeyFailure(Failure):
    kind = "no_key"


class SpendingLimitFailure(Failure):
    kind = "spending_limit"


class ClosedFailure(Failure):
    kind = "closed"


class InternalFailure(Failure):
    kind = "internal"


class StorageFailure(Failure):
    kind = "storage"


class BusyFailure(StorageFailure):
    kind = "busy"
    retryable = True


class DamagedFailure(StorageFailure):
    kind = "damaged"


class DiskFullFailure(StorageFailure):
    kind = "disk_full"


class ForeignFileFailure(StorageFailure):
    kind = "foreign_file"


class NewerFileFailure(StorageFailure):
    kind = "newer_file"


class OlderFileFailure(StorageFailure):
    kind = "older_file"


class UnsupportedDiskFailure(StorageFailure):
    kind = "unsupported_disk"


class UnsupportedSqliteFailure(StorageFailure):
    kind = "unsupported_sqlite"


class UnwritableFailure(StorageFailure):
    kind = "unwritable"


class ProviderFailure(Failure):
    """A model's server refused, broke or fell silent.

    Attributes:
        status: HTTP status, if there was one.
        code: the server's own word for it.
        param: the field of the request that the server complains of, if it said so.
        retry_after_s: how long the server asked to wait.
        should_retry: the server's own word on whether to try again, if it gave one.
        request_id: what the server's support asks for.
    """

    kind = "provider"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.provider: str | None = None
        self.status = status
        self.code = code
        self.param: str | None = None
        self.retry_after_s = retry_after_s
        self.should_retry: bool | None = None
        self.request_id = request_id

    def as_record(self) -> FailureRecord:
        return FailureRecord(
            kind=self.kind,
            message=self.message,
            retryable=self.retryable,
            retry_after_s=self.retry_after_s,
            provider=self.provider,
            status=self.status,
            code=self.code,
            request_id=self.request_id,
        )


class AuthenticationFailure(ProviderFailure):
    kind = "auth"


class PermissionFailure(ProviderFailure):
    kind = "permission"


class BillingFailure(ProviderFailure):
    kind = "billing"


class ModelNotFoundFailure(ProviderFailure):
    kind = "model_not_found"


class InvalidRequestFailure(ProviderFailure):
    kind = "invalid_request"


class ContextOverflowFailure(ProviderFailure):
    kind = "context_overflow"


class TooLargeFailure(ProviderFailure):
    kind = "too_large"


class RateLimitFailure(ProviderFailure):
    kind = "rate_limit"
    retryable = True


class OverloadFailure(ProviderFailure):
    kind = "overloaded"
    retryable = True


class ServerFailure(ProviderFailure):
    kind = "server"
    retryable = True


class TimeoutFailure(ProviderFailure):
    kind = "timeout"
    retryable = True


class ConnectionFailure(ProviderFailure):
    kind = "connection"
    retryable = True


class TruncatedFailure(ProviderFailure):
    kind = "truncated"
    retryable = True


class ProtocolFailure(ProviderFailure):
    kind = "protocol"


class RefusedOriginFailure(ProviderFailure):
    """The address is refused: plain http to another machine, or a redirect."""

    kind = "refused_origin"


class CircuitOpenFailure(ProviderFailure):
    """It failed so often just now that it is left alone for a moment."""

    kind = "circuit_open"
    retryable = True
