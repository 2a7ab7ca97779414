"""Sends a request without TLS for each line on stdin, over one connection to a port of 127.0.0.1."""

import http.client
import sys

print("up", flush=True)
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for number, _ in enumerate(sys.stdin):
    connection.request("GET", f"/small/{number}")
    assert connection.getresponse().read() == b"small\n"
    print("asked", number, flush=True)
