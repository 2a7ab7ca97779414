"""A client with one kept-alive connection. Arguments: port, number of requests.

Python's ssl module calls SSL_read_ex and SSL_write_ex.
"""

import http.client
import ssl
import sys

port, requests = map(int, sys.argv[1:])
context = ssl._create_unverified_context()
print("up", flush=True)
sys.stdin.readline()

connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
for number in range(requests):
    connection.request("GET", f"/small/{number}")
    assert connection.getresponse().read() == b"small\n"
print("done", flush=True)
sys.stdin.read()
