"""The cluster's CA of client certificates, as the API server publishes it.

Source: kubernetes apiserver pkg/server/dynamiccertificates/configmap_cafile_content.go.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, Final

from cryptography import x509

from provider.kube.client import resource_path
from provider.kube.errors import KubeError
from provider.kube.watch import Added, Listed, Modified, list_and_watch
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from provider.kube.client import Json, KubeApi

logger = logging.getLogger(__name__)

CONFIG_MAP: Final = "extension-apiserver-authentication"
NAMESPACE: Final = "kube-system"
KEY: Final = "client-ca-file"


class KubeletClientCA:
    """Whose client certificates the kubelet port accepts.

    What was good once is kept when the ConfigMap is gone or broken, as a kubelet's peers do.

    Args:
        api: May get, list and watch that one ConfigMap.

    Attributes:
        pem: One CA or more; empty until they are known, and then nobody has a certificate.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._problem = LastingProblem(logger, f"{KEY} of ConfigMap {NAMESPACE}/{CONFIG_MAP}")
        self.pem = b""

    async def load(self) -> None:
        """Read it once; where that fails, it is empty until ``run`` has it."""
        path = resource_path("configmaps", namespace=NAMESPACE, name=CONFIG_MAP)
        try:
            self._take(await self._api.get(path))
        except KubeError as exc:
            self._problem.occurred(exc)

    async def run(self) -> None:
        """Follow it until cancelled."""
        path = resource_path("configmaps", namespace=NAMESPACE)
        query = {"fieldSelector": f"metadata.name={CONFIG_MAP}"}
        async with contextlib.aclosing(list_and_watch(self._api, path, query=query)) as events:
            async for event in events:
                match event:
                    case Listed(items=items):
                        for item in items:
                            self._take(item)
                    case Added(object=body) | Modified(object=body):
                        self._take(body)
                    case _:
                        pass

    def _take(self, config_map: Json) -> None:
        data = config_map.get("data")
        text = data.get(KEY) if isinstance(data, dict) else None
        if not isinstance(text, str):
            self._problem.occurred(ValueError("it is missing"))
            return
        try:
            # What one of the two does not take would leave the port without a context.
            pem = text.encode("ascii")
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
            x509.load_pem_x509_certificates(pem)
        except (ssl.SSLError, ValueError) as exc:
            self._problem.occurred(exc)
            return
        self._problem.solved()
        if pem != self.pem:
            self.pem = pem
            logger.info("the kubelet port accepts client certificates of the cluster's present CA")
