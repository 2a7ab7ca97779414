"""An HTTP server without TLS: on a port of 127.0.0.1, or on the UNIX socket whose path is given.

Paths under /small/ give 6 bytes, those under /large/ 3 MiB that the kernel sends from a file, and those under /ends/ 6 bytes that
end with their connection. A POST to /spliced has its content
moved out of the socket by splice.
"""

import os
import socketserver
import sys
import tempfile
import threading

# http.server would load a TLS library.
sys.modules["ssl"] = None
import http.server

LARGE = 3 * 1024 * 1024


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # What is read of the head is not read beyond it, so that splice finds the content.
    rbufsize = 0

    def answer(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self):
        if self.path.startswith("/ends/"):
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"small\n")
            return
        if not self.path.startswith("/large/"):
            self.answer(6)
            self.wfile.write(b"small\n")
            return
        self.answer(LARGE)
        self.wfile.flush()
        sent = 0
        while sent < LARGE:
            sent += os.sendfile(self.connection.fileno(), large.fileno(), sent, LARGE - sent)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        receiver, sender = os.pipe()
        while left:
            moved = os.splice(self.connection.fileno(), sender, left)
            os.read(receiver, moved)
            left -= moved
        os.close(receiver)
        os.close(sender)
        self.answer(0)

    def address_string(self):
        return "peer"

    def log_message(self, *_):
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


print("up", flush=True)
sys.stdin.readline()
large = tempfile.TemporaryFile()
large.truncate(LARGE)
if len(sys.argv) > 1:
    server = UnixServer(sys.argv[1], Handler)
    print("listens", flush=True)
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print("port", server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
