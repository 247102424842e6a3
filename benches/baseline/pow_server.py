#!/usr/bin/env python3
"""The baseline: the Python server that powd replaces, rewritten from its description.

Neither tuned up nor down. One TCPServer object whose serve_forever runs in 100 daemon threads and in the
main thread; each connection occupies one of them until it closes. A request is whatever one recv returns,
so a client must wait for each reply before it sends the next request. The interpreter lock lets one thread
compute at a time.

    python3 pow_server.py --difficulty 3 --port 20000
"""

import argparse
import hashlib
import random
import socketserver
import string
import threading

THREADS = 100
CHARACTERS = string.ascii_letters + string.digits
SEED_LENGTH = 5
RECEIVE_BYTES = 8192


def solve(message, difficulty):
    """Draws seeds until the digest of seed and message starts with enough zeros."""
    zeros = "0" * difficulty
    while True:
        seed = ""
        for _ in range(SEED_LENGTH):
            seed += random.choice(CHARACTERS)
        digest = hashlib.sha256((seed + message).encode("utf-8")).hexdigest()
        if digest[:difficulty] <= zeros:
            return seed, digest


class Handler(socketserver.BaseRequestHandler):
    """Answers one connection until it ends."""

    difficulty = 3

    def handle(self):
        while True:
            received = self.request.recv(RECEIVE_BYTES)
            if not received:
                break
            message = received.decode("utf-8").replace("\n", "")
            seed, digest = solve(message, self.difficulty)
            self.request.send("{},{},{}\n".format(message, seed, digest).encode("utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--difficulty", type=int, default=3)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=20000, help="0 takes a free one")
    arguments = parser.parse_args()

    Handler.difficulty = arguments.difficulty
    server = socketserver.TCPServer((arguments.host, arguments.port), Handler)
    print("listening on {}:{}".format(*server.server_address), flush=True)
    for _ in range(THREADS):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
