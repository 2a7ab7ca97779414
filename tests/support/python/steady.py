"""Steady load on keep-alive and new connections, until a line on stdin. Arguments: port, number of clients of each kind.

A gateway that reloads may close idle connections. The client then opens a new one and repeats the request. At the end it
prints the number of answered requests.
"""

import http.client
import ssl
import sys
import threading
import time

PAUSE = 0.002

port, clients = map(int, sys.argv[1:])
context = ssl._create_unverified_context()
ended = threading.Event()
answered, failed = [], []


def ask(connection, path, fields):
    connection.request("GET", path, headers=fields)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read() == b"small\n"


def client(name, kept):
    connection, number = None, 0
    while not ended.is_set():
        connection = connection or http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        try:
            ask(connection, f"/small/{name}-{number}", {} if kept else {"Connection": "close"})
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
            connection = None
            continue
        connection, number = connection if kept else None, number + 1
        time.sleep(PAUSE)
    answered.append(number)


def guarded(name, kept):
    try:
        client(name, kept)
    except BaseException as error:
        failed.append(repr(error))
        raise


threads = [
    threading.Thread(target=guarded, args=[f"{'kept' if kept else 'new'}{place}", kept])
    for place in range(clients)
    for kept in (True, False)
]
print("up", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
print("begun", flush=True)
sys.stdin.readline()
ended.set()
for thread in threads:
    thread.join()
assert not failed, failed
print("answered", sum(answered), flush=True)
sys.stdin.read()
