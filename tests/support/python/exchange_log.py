"""Prints exchanges, one line for each, as support/exchange_log.rs parses them."""

import sys


def log_exchange(verb, request_id, local, remote):
    """Prints a line in one write, since other threads print too. The ends are results of getsockname and getpeername."""
    sys.stdout.write(f"{verb} {request_id} {local[0]} {local[1]} {remote[0]} {remote[1]}\n")
    sys.stdout.flush()
