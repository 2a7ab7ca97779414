"""A client that cancels its streams. Arguments: port, number of requests of each kind.

It cancels large responses when its window is full, and requests under /silent/ at once.
"""

import sys

from h2.errors import ErrorCodes
from h2.events import DataReceived

from http2 import connect, get, request

WINDOW = 65535

port, requests = map(int, sys.argv[1:])
print("up", flush=True)
sys.stdin.readline()
session = connect(port)
# The window of the connection never fills; that of each stream does.
session.state.increment_flow_control_window(2**30)
for number in range(requests):
    stream = session.state.get_next_available_stream_id()
    session.send(stream, request("GET", f"/large/{number}"))
    left = WINDOW
    while left > 0:
        left -= session.wait(DataReceived, stream).flow_controlled_length
    session.state.reset_stream(stream, ErrorCodes.CANCEL)
    session.flush()
for number in range(requests):
    stream = session.state.get_next_available_stream_id()
    session.send(stream, request("GET", f"/silent/{number}"))
    session.state.reset_stream(stream, ErrorCodes.CANCEL)
    session.flush()
get(session, "/small/last")
print("done", flush=True)
sys.stdin.read()
