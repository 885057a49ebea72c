"""Failures that cannot be had on loopback."""

import socket
import ssl

import aiohttp
from aiohttp.client_reqrep import ConnectionKey

from tina.domain.failures import ConnectionFailure
from tina.networking.failures import failure_to_open

# A named tuple; as positional as it is made by the library.
KEY = ConnectionKey("models.example", 443, True, True, None, None, None)  # noqa: FBT003


def test_a_name_that_nobody_knows_is_told() -> None:
    error = aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(-2, "unknown"))

    failure = failure_to_open(error, "models.example")

    assert isinstance(failure, ConnectionFailure)
    assert "no machine named 'models.example'" in failure.message


def test_a_certificate_that_is_not_accepted_is_told() -> None:
    reason = ssl.SSLCertVerificationError("self-signed")
    error = aiohttp.ClientConnectorCertificateError(KEY, reason)

    failure = failure_to_open(error, "models.example")

    assert isinstance(failure, ConnectionFailure)
    assert "certificate" in failure.message
