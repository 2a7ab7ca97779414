"""Hostile HTTP/2 traffic as bytes. Every case contains a planted secret in a field that must be masked.

Attacks on servers are attacks on tlscope, which must decode what they decode.
"""

import os

DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, content):
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def number(value, bits, first=0):
    """Encodes an integer with a prefix of `bits` bits (RFC 7541 section 5.1)."""
    most = 2**bits - 1
    if value < most:
        return bytes([first | value])
    value -= most
    encoded = bytes([first | most])
    while value >= 128:
        encoded += bytes([value % 128 | 128])
        value //= 128
    return encoded + bytes([value])


def string(content):
    return number(len(content), 7) + content


def inserted(name, value):
    return b"\x40" + string(name) + string(value)


def literal(name, value):
    return b"\x00" + string(name) + string(value)


SECRET = literal(b"x-api-key", b"pLanted")
ASK = b"\x82\x87\x84" + literal(b":authority", b"localhost")
OK = b"\x88"
NEWEST = number(62, 7, 0x80)
EMPTY = b"\x00\x00\x00"


def heads(first, blocks):
    """Makes each block the head of a new stream, with `first` before its fields."""
    return b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, 2 * place + 1, first + block) for place, block in enumerate(blocks)
    )


def both(make):
    """Makes a case in which both sides send the same, with a request or a response head."""
    settings = frame(SETTINGS, 0, 0, b"")
    return PREFACE + settings + make(ASK), settings + make(OK)


def flood(first):
    """Makes a head that never ends."""
    block = literal(b"x-api-key", b"pLanted" * 100) * 20
    more = frame(CONTINUATION, 0, 1, block) * 300 + frame(CONTINUATION, 0, 1, b"") * 100_000
    return frame(HEADERS, 0, 1, first + block) + more


def reset(first):
    pairs = [
        frame(HEADERS, END_HEADERS, 2 * place + 1, first + SECRET) + frame(RESET, 0, 2 * place + 1, b"\x00\x00\x00\x08")
        for place in range(3_000)
    ]
    return b"".join(pairs)


def flapping(first):
    """Changes the size of the HPACK table with each head, and sends SETTINGS between them."""
    sizes = number(0, 5, 0x20) + number(4096, 5, 0x20)
    settings = frame(SETTINGS, 0, 0, b"\x00\x01" + (2**32 - 1).to_bytes(4, "big")) + frame(SETTINGS, 1, 0, b"")
    heads = [
        settings + frame(HEADERS, END_STREAM | END_HEADERS, 2 * place + 1, sizes + first + inserted(b"x-api-key", b"pLanted"))
        for place in range(1_000)
    ]
    return b"".join(heads)


CASES = {
    # A large table entry, and references to it: the decoded size is thousands of times the encoded one.
    "bomb": both(lambda first: heads(first, [inserted(b"x-api-key", b"pLanted" * 570)] + [NEWEST * 16_000] * 20)),
    # The same with a small entry: the cost is in the number of fields, not in their size.
    "fields": both(lambda first: heads(first, [inserted(b"token", b"pLanted")] + [NEWEST * 16_000] * 50)),
    "nameless": both(lambda first: heads(first, [SECRET + EMPTY * 5_000] * 50)),
    "unending": both(flood),
    "reset": both(reset),
    "flapping": both(flapping),
    "open": both(
        lambda first: b"".join(
            frame(HEADERS, END_HEADERS, 2 * place + 1, first + SECRET) for place in range(3_000)
        )
    ),
    "promises": both(
        lambda first: frame(HEADERS, END_HEADERS, 1, first)
        + b"".join(frame(PUSH, END_HEADERS, 1, (2 * place + 2).to_bytes(4, "big") + ASK + SECRET) for place in range(3_000))
    ),
    "garbage": both(lambda first: b"".join(os.urandom(1000) + b"pLanted" for _ in range(1000))),
    "wrong index": both(lambda first: heads(first, [number(2**40, 7, 0x80) + SECRET] * 10)),
    "long frame": both(lambda first: b"\xff\xff\xff" + bytes([HEADERS, END_HEADERS, 0, 0, 0, 1]) + b"pLanted" * 100_000),
    "endless data": both(
        lambda first: frame(HEADERS, END_HEADERS, 1, first) + frame(DATA, 0, 1, b"pLanted" * 1000) * 200 + frame(DATA, 0, 1, b"") * 50_000
    ),
}
