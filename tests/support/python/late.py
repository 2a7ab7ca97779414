"""A client that loads its TLS library late. Arguments: port, number of requests.

At the first line on stdin it imports ssl; at the second it sends the requests over one kept-alive connection.
"""

import sys

port, requests = map(int, sys.argv[1:])
assert not any(name.split()[-1].rpartition("/")[2].startswith("libssl") for name in open("/proc/self/maps"))
print("up", flush=True)
sys.stdin.readline()

import http.client  # noqa: E402
import ssl  # noqa: E402

context = ssl._create_unverified_context()
print("imported", flush=True)
sys.stdin.readline()

connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
for number in range(requests):
    connection.request("GET", f"/small/{number}")
    assert connection.getresponse().read() == b"small\n"
print("done", flush=True)
sys.stdin.read()
