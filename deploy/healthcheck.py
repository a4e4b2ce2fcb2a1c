"""Ask the exporter of this container whether it is healthy: the image has no curl, and needs none."""

import http.client
import os
import sys

DEFAULT_PORT = 9478
TIMEOUT_SECONDS = 4


def main() -> int:
    """Return 0 when `/-/healthy` answers 200 on the port of `PRISMA_POSTGRES_LISTEN`, otherwise 1."""
    listen = os.environ.get("PRISMA_POSTGRES_LISTEN", "")
    port = int(listen.rpartition(":")[2] or DEFAULT_PORT)
    # A connection of its own: urllib would follow the proxy that the environment names.
    connection = http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/-/healthy")
        answer = connection.getresponse()
        print(answer.status, answer.read().decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        print(f"port {port} does not answer: {error}")
        return 1
    return 0 if answer.status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main())
