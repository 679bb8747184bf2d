"""Ask a TLS port for a path and say how it answers: `python -m devcluster.knock URL [CERT KEY]`.

The port's own certificate is not looked at: what is asked is whether it lets us in.
"""

from __future__ import annotations

import ssl
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 10


def main(arguments: Sequence[str]) -> int:
    """Print the answer; 0 where the port let us in, 1 where it refused."""
    url, *pair = arguments
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(*pair)
    https = urllib.request.HTTPSHandler(context=context)
    # No proxy: the address is one of the devcluster's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            print(f"let in: {answer.status}")
    except urllib.error.HTTPError as refused:
        with refused:
            print(f"refused: {refused.code} {refused.reason}")
        return 1
    except OSError as refused:
        print(f"refused before an answer: {refused}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
