"""An HTTPS server that uses the last segment of the path as X-Request-ID, and prints each id.

The response to a POST has a body of 6 bytes, that to a GET one of 3 MiB, written in one call.
"""

import http.server
import os
import ssl
import subprocess
import sys
import tempfile
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        request_id = self.path.rsplit("/")[-1]
        self.send_response(200)
        self.send_header("X-Request-ID", request_id)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"small\n")
        print("served", request_id, flush=True)

    def do_GET(self):
        body = b"b" * 3 * 1024 * 1024
        head = f"HTTP/1.1 200 OK\r\nX-Request-ID: {self.path[1:]}\r\nContent-Length: {len(body)}\r\n\r\n"
        # One call for the whole response.
        assert self.connection.send(head.encode() + body) == len(head) + len(body)
        print("served", self.path[1:], flush=True)

    def log_message(self, *_):
        pass


def certificate(folder):
    """Makes a key and a certificate for localhost, and returns their paths."""
    key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return key, certificate


def context():
    """Makes a TLS context with a new key and certificate."""
    with tempfile.TemporaryDirectory() as folder:
        key, chain = certificate(folder)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(chain, key)
        return made


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
