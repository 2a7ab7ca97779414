"""An HTTPS server that rejects `Expect: 100-continue` with 417 and reads the next request at once."""

import http.server
import ssl
import sys
import threading

from server import context


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_expect_100(self):
        self.answer(417)
        return False

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def do_GET(self):
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print("served", self.command, status, flush=True)

    def log_message(self, *_):
        pass


def main():
    tls = context()
    print("up", flush=True)
    sys.stdin.readline()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("port", server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
