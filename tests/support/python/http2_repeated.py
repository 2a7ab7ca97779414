"""A client with repeated fields: one connection, a request every 100 ms. Argument: port.

Twenty fields, the authority and the user agent have the same values in every request, so the HPACK encoder sends them once
and refers to them from then on. It never indexes a credential and a cookie, and sends them each time. The first line on
stdin changes all of these values, while the names of the twenty fields stay in the table of the encoder. The second line
clears that table, as an encoder does when the server allows a smaller one. The client prints the number of each request
before it sends it, and the number of the first request after each of these lines.
"""

import sys
import threading
import time

from http2 import connect, get

PERIOD = 0.1


def fields(word):
    repeated = [(f"x-repeated-{number:02}", f"{word}-{number:02}") for number in range(20)]
    return [("user-agent", f"repeated/{word}"), ("authorization", f"Bearer pLanted-{word}")] + repeated + [
        ("cookie", f"session=pLanted-{word}")
    ]


def listen():
    for event in [changed, forgotten, ended]:
        sys.stdin.readline()
        event.set()


changed, forgotten, ended = (threading.Event() for _ in range(3))
print("up", flush=True)
sys.stdin.readline()
session = connect(int(sys.argv[1]))
threading.Thread(target=listen).start()
number, word, due = 0, "one", time.monotonic()
while not ended.is_set():
    if word == "one" and changed.is_set():
        word = "two"
        print("changed", number, flush=True)
    if forgotten.is_set():
        forgotten.clear()
        for size in [0, 4096]:
            session.state.encoder.header_table_size = size
        print("forgotten", number, flush=True)
    print("sent", number, flush=True)
    get(session, f"/small/{number}", fields(word), f"{word}.test")
    number += 1
    due += PERIOD
    time.sleep(max(0, due - time.monotonic()))
