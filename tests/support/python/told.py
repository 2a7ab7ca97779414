"""What a script says of its exchanges, one line for each: the words that support/told.rs reads."""

import sys


def tell(verb, request_id, local, remote):
    """Says it in one piece, whatever other threads print; the ends are what getsockname and getpeername gave."""
    sys.stdout.write(f"{verb} {request_id} {local[0]} {local[1]} {remote[0]} {remote[1]}\n")
    sys.stdout.flush()
