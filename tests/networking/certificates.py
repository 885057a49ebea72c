"""Certificates for servers on loopback, made with the openssl program."""

import ssl
import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Signs certificates; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._file = folder / "authority.pem"
        self._key = folder / "authority.key"
        _openssl(
            *("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=Test authority"),
            *("-keyout", str(self._key), "-out", str(self._file)),
        )

    def trusting(self) -> ssl.SSLContext:
        """For a client that trusts nobody else."""
        return ssl.create_default_context(cafile=str(self._file))

    def serving(self, name: str, *, days: int = 1) -> ssl.SSLContext:
        """For a server; `name` is like `DNS:models.example` or `IP:127.0.0.1`."""
        self._count += 1
        stem = self._folder / f"server{self._count}"
        names = stem.with_suffix(".names")
        names.write_text(f"subjectAltName={name}")
        _openssl(
            *("req", *_KEY, "-subj", "/CN=Test server"),
            *("-keyout", f"{stem}.key", "-out", f"{stem}.csr"),
        )
        _openssl(
            *("x509", "-req", "-in", f"{stem}.csr", "-CA", str(self._file)),
            *("-CAkey", str(self._key), "-set_serial", str(self._count)),
            *("-days", str(days), "-extfile", str(names), "-out", f"{stem}.pem"),
        )
        return _context(stem)


def self_signed(folder: Path) -> ssl.SSLContext:
    stem = folder / "self"
    _openssl(
        *("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=127.0.0.1"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", f"{stem}.key", "-out", f"{stem}.pem"),
    )
    return _context(stem)


def _context(stem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{stem}.pem", f"{stem}.key")
    return context


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=20)
