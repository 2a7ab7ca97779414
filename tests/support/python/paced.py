"""An upstream server of a gateway, without TLS on one port and with TLS on another.

The path of a GET says what it does: /delay/MS waits first, /denied gives 401 with WWW-Authenticate, /slow sends a part of a
response and no more, /never nothing at all, /events a server-sent event each 100 ms until it reads the line `enough`.
/mirrored answers once a copy has come: /copy, which is answered at once, or /held, once it reads the line `release`. It prints
`waits PATH` and `gone PATH` if the gateway is to close the connection, and when it has. Everything else gives 200.
"""

import http.server
import sys
import threading
import time

from server import context

enough = threading.Event()
copies = threading.Semaphore(0)
released = threading.Semaphore(0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status, *fields, body=b"small\n"):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def do_GET(self):
        action, _, argument = self.path.partition("?")[0].lstrip("/").partition("/")
        if action == "delay":
            time.sleep(int(argument.split("/")[0]) / 1000)
        elif action == "mirrored":
            copies.acquire()
        elif action in ("copy", "held"):
            copies.release()
            if action == "held":
                released.acquire()
        if action == "denied":
            self.answer(401, ("WWW-Authenticate", 'Bearer realm="shop", error="invalid_token"'))
        elif action == "slow":
            self.answer(200, ("Content-Length", "1000000"), body=None)
            self.wfile.write(b"s" * 10_000)
            self.wait_until_gone()
        elif action == "never":
            self.wait_until_gone()
        elif action == "events":
            self.answer(200, ("Content-Type", "text/event-stream"), ("Connection", "close"), body=None)
            while not enough.wait(0.1):
                self.wfile.write(b"data: now\n\n")
        else:
            self.answer(200, ("X-Upstream", "python"))

    def do_POST(self):
        received = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, ("X-Received", str(len(received))))

    def wait_until_gone(self):
        print("waits", self.path, flush=True)
        try:
            gone = self.connection.recv(1) == b""
        except OSError:
            gone = True
        assert gone
        print("gone", self.path, flush=True)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        # A gateway has closed the connection.
        pass


class Secure(Server):
    """Does the handshakes in the threads of the connections."""

    tls = None

    def finish_request(self, request, client_address):
        with self.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)


def main():
    Secure.tls = context()
    print("up", flush=True)
    sys.stdin.readline()
    for kind, name in ((Server, "plain"), (Secure, "secure")):
        server = kind(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(name, server.server_address[1], flush=True)
    for line in sys.stdin:
        if line.strip() == "enough":
            enough.set()
        elif line.strip() == "release":
            released.release()


if __name__ == "__main__":
    main()
