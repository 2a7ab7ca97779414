"""A client whose fields repeat: one connection, a request every 100 ms. Word: port.

Twenty fields, the authority and the user agent have the same values in every request, so that its encoder sends them
once and refers to them from then on; a credential and a cookie it never indexes, and sends each time. The first line on
its stdin changes all of these values; the names of the twenty are still those in the encoder's table. The second line
makes its encoder forget that table, as it does when the server allows it a smaller one. It says the number of each
request before it sends it, and the number of the first one after each of these lines.
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
