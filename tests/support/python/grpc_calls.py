"""A gRPC server and client on Debian's grpcio, which uses the system's libssl.

Arguments: server, then secure or insecure; or client, port, file of the server's certificate, rounds. Messages are raw bytes.
The client prints the name, status code and message of each call. It holds the first call open until it reads a line, then
makes rounds of calls until its stdin is closed, and cancels the last call of each round.
"""

import select
import sys
import tempfile
import threading
from concurrent import futures

import grpc

from server import certificate

SERVICE = "test.Calls"
SECRETS = [("x-api-key", "pLanted04"), ("authorization", "Bearer pLanted01")]
MESSAGE = "nö such thing: 100%"


def plain(request, context):
    context.set_trailing_metadata([("x-checksum", "abc")])
    return request


def failing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, MESSAGE)


def failing_late(request, context):
    context.send_initial_metadata([("x-begun", "yes")])
    context.abort(grpc.StatusCode.DATA_LOSS, MESSAGE)


def counting(request, context):
    for number in range(5):
        yield request * (number + 1)


def endless(request, context):
    ended = threading.Event()
    context.add_callback(ended.set)
    context.send_initial_metadata([("x-begun", "yes")])
    ended.wait()
    yield request


def echoing(requests, context):
    yield from requests


def serve(secure):
    handlers = {
        "Plain": grpc.unary_unary_rpc_method_handler(plain),
        "Failing": grpc.unary_unary_rpc_method_handler(failing),
        "FailingLate": grpc.unary_unary_rpc_method_handler(failing_late),
        "Echoing": grpc.stream_stream_rpc_method_handler(echoing),
        "Counting": grpc.unary_stream_rpc_method_handler(counting),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    if secure:
        with tempfile.TemporaryDirectory() as folder:
            key, chain = (open(path, "rb").read() for path in certificate(folder))
        kept = tempfile.NamedTemporaryFile()
        kept.write(chain)
        kept.flush()
        print("certificate", kept.name, flush=True)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port, flush=True)
    sys.stdin.read()
    server.stop(None)


def held():
    yield b"message"
    print("holding", flush=True)
    sys.stdin.readline()
    yield b"message"


def call(channel, name, method):
    path = f"/{SERVICE}/{method}"
    options = {"timeout": 60, "metadata": [("x-call", name), *SECRETS]}
    if method == "Echoing":
        asked = channel.stream_stream(path)(held(), **options)
        assert list(asked) == [b"message"] * 2
    elif method in ["Counting", "Endless"]:
        asked = channel.unary_stream(path)(b"message", **options)
    else:
        asked = channel.unary_unary(path).future(b"message", **options)
    if method == "Counting":
        assert [len(answer) for answer in asked] == [7, 14, 21, 28, 35]
    if method == "Endless":
        asked.initial_metadata()
        asked.cancel()
    print("call", name, asked.code().value[0], asked.details(), flush=True)


def ask(port, certificate, rounds):
    credentials = grpc.ssl_channel_credentials(open(certificate, "rb").read())
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        call(channel, "Echoing", "Echoing")
        for number in range(rounds):
            if select.select([sys.stdin], [], [], 0)[0]:
                break
            for method in ["Plain", "Failing", "FailingLate", "Counting", "Missing", "Endless"]:
                call(channel, f"{number}-{method}", method)
    print("done", flush=True)
    sys.stdin.read()


print("up", flush=True)
sys.stdin.readline()
if sys.argv[1] == "server":
    serve(sys.argv[2] == "secure")
else:
    ask(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
