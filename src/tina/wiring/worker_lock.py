"""The worker's lock, and with which settings of providers its holder was started.

A question left to a worker is asked with the worker's settings: whoever has others is
refused, rather than sent to somebody they did not name.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from tina.database.files.regular_file import open_regular
from tina.domain.failures import InvalidInputFailure, UnwritableFailure
from tina.storage.paths import ensure_folder

SETTINGS = re.compile(
    r"\w+_(?:API_KEY|BASE_URL|AUTH_TOKEN|PROXY)|OLLAMA_HOST|AZURE_OPENAI_ENDPOINT"
)
"""Variables that say who is asked, and with which key."""
MAX_SETTINGS = 64
DIGEST_CHARS = 16
SALT_BYTES = 16
MAX_NOTE_BYTES = 16_384


@contextmanager
def hold(path: Path) -> Generator[bool]:
    """Hold the worker's lock, if it is free; whether it is ours.

    Raises:
        UnwritableFailure: there can be no lock.
    """
    ensure_folder(path.parent)
    try:
        descriptor = open_regular(path, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise UnwritableFailure(f"Tina cannot use the file {told(error)}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def noted(path: Path, environment: Mapping[str, str]) -> Generator[None]:
    """Note the settings in the lock's file while the context is open.

    Digests only: enough to see that one differs, too little to know any.
    """
    salt = token_hex(SALT_BYTES)
    note = _Note(salt=salt, digests=_digests(environment, salt))
    with suppress(OSError):  # on a full disk questions are answered all the same
        path.write_bytes(msgspec.json.encode(note))
    try:
        yield
    finally:
        with suppress(OSError):
            path.write_bytes(b"")


def refuse_other_settings(path: Path, environment: Mapping[str, str]) -> None:
    """Refuse a worker that runs with other settings than those of the environment.

    What the environment does not say is the worker's own business.

    Raises:
        InvalidInputFailure: one runs, and a setting differs.
    """
    with hold(path) as is_free:
        pass
    theirs = None if is_free else _read(path)
    if theirs is None:  # none runs, or it has only begun, or is about to leave
        return
    ours = _digests(environment, theirs.salt)
    others = [name for name in ours if theirs.digests.get(name) != ours[name]]
    if others:
        raise InvalidInputFailure(
            f"A worker is running that was started with another {' and '.join(others)}"
            "; it would ask with its own. Wait until it has left (some seconds after "
            "its last answer; `tina db status` names it), or ask without --detach."
        )


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    salt: str
    digests: dict[str, str]


def _digests(environment: Mapping[str, str], salt: str) -> dict[str, str]:
    names = sorted(name for name in environment if SETTINGS.fullmatch(name))
    values = {name: environment[name].strip() for name in names[:MAX_SETTINGS]}
    return {
        name: hashlib.sha256(
            f"{salt}{value}".encode("utf-8", "surrogateescape")
        ).hexdigest()[:DIGEST_CHARS]
        for name, value in values.items()
        if value
    }


def _read(path: Path) -> _Note | None:
    """What the holder noted; None if it has noted nothing."""
    with path.open("rb") as file:
        note = file.read(MAX_NOTE_BYTES)
    try:
        return msgspec.json.decode(note, type=_Note)
    except msgspec.DecodeError:
        return None


def told(error: OSError) -> str:
    """What failed on which file, for a person."""
    return f"{str(error.filename)!r}: {error.strerror}"
