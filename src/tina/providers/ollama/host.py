"""What people write into `OLLAMA_HOST`, as a base URL.

The server reads the same variable as the address that it listens at, so its forms are
those of an address, and it may say "everywhere", which nobody can connect to.

Pure.

Source: Ollama's documentation, "FAQ", and the client's reading of `OLLAMA_HOST`.
"""

from ipaddress import ip_address

_SCHEME = "http"
_PORT = "11434"
_CLOUD = "ollama.com"
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def base_url_for(host_text: str) -> str:
    """The base URL; one that cannot be used stays so, and is refused when asked.

    Without a scheme it is plain http on Ollama's port; with one, the port is that of
    the scheme. A path is kept.
    """
    text = host_text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = _SCHEME, text
    address, _, path = rest.partition("/")
    host, port = _split(address)
    if not separator:
        is_cloud = host.lower() == _CLOUD and not port
        scheme, port = ("https", "") if is_cloud else (scheme, port or _PORT)
    shown = f"[{host}]" if ":" in host else host
    path = path.rstrip("/")
    return (
        f"{scheme.lower()}://{shown}"
        f"{f':{port}' if port else ''}"
        f"{f'/{path}' if path else ''}"
    )


def _split(address: str) -> tuple[str, str]:
    """Host, without brackets, and port; a port that is not given is empty."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return _reachable(host), rest.removeprefix(":")
    if address.count(":") > 1:  # an IPv6 address without its brackets
        return _reachable(address), ""
    host, _, port = address.partition(":")
    return _reachable(host), port


def _reachable(host: str) -> str:
    """This machine, where the host is left out or stands for all of its addresses."""
    try:
        address = ip_address(host or "0.0.0.0")  # noqa: S104 - nothing listens here
    except ValueError:
        return host
    return _LOOPBACK[address.version] if address.is_unspecified else host
