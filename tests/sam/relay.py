"""From the containers' network to this machine's loopback, where the services listen and nowhere else.

A container reaches the machine at the gateway of the engine's bridge. Each relayed port listens there for as
long as the tests run.
"""

import contextlib
import socket
import socketserver
import threading
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

CHUNK_BYTES = 65536


def pump(source, target):
    """Copies bytes until the source ends, then ends the target's side of it."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def handler(port):
    """Handles connections by passing them on to a port of the loopback."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", port)) as target:
                back = threading.Thread(target=pump, args=(target, self.request), daemon=True)
                back.start()
                pump(self.request, target)
                back.join()

    return Handler


class Server(socketserver.ThreadingTCPServer):
    """One listener at the gateway."""

    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def listening(gateway, urls):
    """Relays each of the URLs; yields them as a container has to say them."""
    with contextlib.ExitStack() as servers:
        relayed = {}
        for name, url in urls.items():
            parts = urlsplit(url)
            try:
                server = servers.enter_context(Server((gateway, parts.port), handler(parts.port)))
                threading.Thread(target=server.serve_forever, daemon=True).start()
                servers.callback(server.shutdown)
            except OSError as error:
                # Two services behind one port: the first relay serves both.
                if not any(urlsplit(other).port == parts.port for other in relayed.values()):
                    raise SystemExit(f"cannot listen at {gateway}:{parts.port}: {error}") from error
            relayed[name] = urlunsplit(parts._replace(netloc=f"{gateway}:{parts.port}"))
        yield relayed
