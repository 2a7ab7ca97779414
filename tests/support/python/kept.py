"""Sends one request, and at a line on stdin more over the same connection. Arguments: an address with port, a number that
begins the ids of the requests, and how many more.
"""

import http.client
import ssl
import sys

address, first, more = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = http.client.HTTPSConnection(address, context=ssl._create_unverified_context())


def ask(name):
    connection.request("GET", "/small/", headers={"X-Request-ID": f"{first}-{name}"})
    assert connection.getresponse().read() == b"small\n"


ask("before")
print("up", flush=True)
sys.stdin.readline()
for number in range(more):
    ask(number)
print("done", flush=True)
sys.stdin.read()
connection.close()
