"""JSON calls to the API server as its administrator: the few that waiting for the cluster takes."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any

from devcluster.errors import DevclusterError
from devcluster.layout import API_PORT, ClusterLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devcluster.pki import KeyPair

TIMEOUT_S = 10.0


class APIServer:
    """A connection per call; calls block for at most ten seconds."""

    def __init__(self, cluster: ClusterLayout, *, authority: KeyPair, admin: KeyPair) -> None:
        self._address = cluster.api_address
        self._tls = ssl.create_default_context(cafile=str(authority.certificate_file))
        self._tls.load_cert_chain(admin.certificate_file, admin.key_file)

    def is_ready(self) -> bool:
        """Tell whether ``/readyz`` answers 200."""
        try:
            return self._call("GET", "/readyz")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object; None where it does not exist.

        Raises:
            DevclusterError: Any other answer, or none.
        """
        return self._json("GET", path, None)

    def create(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Create an object or call a subresource.

        Raises:
            DevclusterError: The API server refuses, or does not answer.
        """
        answer = self._json("POST", path, body)
        if answer is None:
            raise DevclusterError(f"POST {path}: 404")
        return answer

    def _json(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> dict[str, Any] | None:
        try:
            status, text = self._call(method, path, body)
        except OSError as exc:
            raise DevclusterError(f"the API server does not answer {method} {path}: {exc}") from exc
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise DevclusterError(f"{method} {path}: {status} {text.decode(errors='replace')}")
        answer = json.loads(text)
        if not isinstance(answer, dict):
            raise DevclusterError(f"{method} {path}: the answer is no object")
        return answer

    def _call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            self._address, API_PORT, timeout=TIMEOUT_S, context=self._tls
        )
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as exc:
            raise ConnectionError(str(exc)) from exc
        finally:
            connection.close()
