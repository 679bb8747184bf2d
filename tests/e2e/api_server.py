"""Plain HTTPS to the API server as the administrator, where kubectl would change an answer."""

from __future__ import annotations

import base64
import http.client
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]


class ApiServer:
    """The API server of a kubeconfig's first cluster, with its first user's certificate."""

    def __init__(self, kubeconfig: str) -> None:
        document = yaml.safe_load(Path(kubeconfig).read_text())
        cluster = document["clusters"][0]["cluster"]
        user = document["users"][0]["user"]
        base = Path(kubeconfig).parent
        url = urlsplit(cluster["server"])
        self._host = url.hostname or ""
        self._port = url.port or 443
        authority = _content(cluster, "certificate-authority", base).decode()
        self._context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            pair.writelines(_pair(user, base))
            pair.flush()
            self._context.load_cert_chain(pair.name)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def context(self) -> ssl.SSLContext:
        """TLS as the administrator."""
        return self._context

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of one GET."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=30
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


def client_pair(kubeconfig: str) -> bytes:
    """Return certificate and key of a kubeconfig's first user, as one PEM."""
    document = yaml.safe_load(Path(kubeconfig).read_text())
    return b"".join(_pair(document["users"][0]["user"], Path(kubeconfig).parent))


def _pair(user: Json, base: Path) -> Iterator[bytes]:
    for field in ("client-certificate", "client-key"):
        yield _content(user, field, base) + b"\n"


def _content(section: Json, field: str, base: Path) -> bytes:
    """Return a field given inline (`FIELD-data`, base64) or as a file."""
    inline = section.get(f"{field}-data")
    if inline is not None:
        return base64.b64decode(inline)
    return base.joinpath(str(section[field])).read_bytes()
