"""A client with one kept-alive connection, which requests one path for each line on stdin. Argument: port."""

import http.client
import ssl
import sys

context = ssl._create_unverified_context()
connection = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]), context=context)
print("up", flush=True)
for line in sys.stdin:
    connection.request("GET", f"/small/{line.strip()}")
    assert connection.getresponse().read() == b"small\n"
    print("answered", line.strip(), flush=True)
