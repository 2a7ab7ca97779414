"""A client whose fields repeat: one connection, a request every 100 ms. Word: port.

Twenty fields, two credentials, the authority and the user agent have the same values in every request, so that its
encoder sends them once and refers to them from then on. A line on its stdin changes all of these values, once. It says
the number of each request before it sends it, and the number of the first one whose values have changed.
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
    sys.stdin.readline()
    changed.set()
    sys.stdin.read()
    ended.set()


changed, ended = threading.Event(), threading.Event()
print("up", flush=True)
sys.stdin.readline()
session = connect(int(sys.argv[1]))
threading.Thread(target=listen).start()
number, word, due = 0, "one", time.monotonic()
while not ended.is_set():
    if word == "one" and changed.is_set():
        word = "two"
        print("changed", number, flush=True)
    print("sent", number, flush=True)
    get(session, f"/small/{number}", fields(word), f"{word}.test")
    number += 1
    due += PERIOD
    time.sleep(max(0, due - time.monotonic()))
