"""A client with one kept-alive connection over a UNIX socket. Arguments: path of the socket, number of requests."""

import http.client
import socket
import ssl
import sys

path, requests = sys.argv[1], int(sys.argv[2])
context = ssl._create_unverified_context()
print("up", flush=True)
sys.stdin.readline()

plain = socket.socket(socket.AF_UNIX)
plain.connect(path)
connection = http.client.HTTPConnection("localhost")
connection.sock = context.wrap_socket(plain)
for number in range(requests):
    # The same ids as those of support/curl.rs.
    connection.request("GET", f"/small/{number}", headers={"X-Request-ID": f"curl-{number}"})
    assert connection.getresponse().read() == b"small\n"
print("done", flush=True)
sys.stdin.read()
