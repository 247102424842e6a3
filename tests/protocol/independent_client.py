"""A client of the line protocol that shares no code with powd: Python's standard library alone.

Asks over many connections at once, pipelined, checks every reply with hashlib, and ends with exit code 0
only if each request got its own right reply, in order.

    independent_client.py HOST PORT CONNECTIONS REQUESTS DIFFICULTY
"""

import hashlib
import selectors
import socket
import string
import sys

ALPHABET = frozenset((string.ascii_letters + string.digits).encode())
SEED_LENGTH = 5
IN_FLIGHT = 50
# Far beyond what any reply takes: a guard against hanging.
PATIENCE = 60.0


def message(connection, number):
    """Message `number` of a connection; some have commas, some are empty, some need two blocks or more."""
    kind = number % 5
    if kind == 0:
        return b"connection %d message %d" % (connection, number)
    if kind == 1:
        return b"%d,with,commas,%d," % (connection, number)
    if kind == 2:
        return b""
    if kind == 3:
        return b"long %d " % number * (1 + number % 20)
    return bytes(byte for byte in number.to_bytes(4, "little") if byte != 10) + b"\xff\r\0"


def fault(line, asked, difficulty):
    """What is wrong with a reply line; None if nothing is."""
    fields = line.rsplit(b",", 2)
    if len(fields) != 3:
        return "not message,seed,hash"
    echoed, seed, digest = fields
    if echoed != asked:
        return "the message came back changed, or out of order"
    if len(seed) != SEED_LENGTH or not ALPHABET.issuperset(seed):
        return "not a seed"
    if hashlib.sha256(seed + asked).hexdigest().encode() != digest:
        return "wrong hash"
    if not digest.startswith(b"0" * difficulty):
        return "too few zeros"
    return None


class Connection:
    """One connection, with a window of requests in flight."""

    def __init__(self, number, address, requests, difficulty):
        self.number, self.requests, self.difficulty = number, requests, difficulty
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.asked = self.answered = 0
        self.received = b""
        self.ask()

    def ask(self):
        upto = min(self.requests, self.answered + IN_FLIGHT)
        window = range(self.asked, upto)
        # A window is far smaller than the socket's buffer: this does not wait for replies.
        self.socket.sendall(b"".join(message(self.number, number) + b"\n" for number in window))
        self.asked = upto
        if self.asked == self.requests:
            self.socket.shutdown(socket.SHUT_WR)

    def receive(self):
        """Takes in replies. Returns false at the end of the stream."""
        chunk = self.socket.recv(1 << 16)
        *lines, self.received = (self.received + chunk).split(b"\n")
        for line in lines:
            asked = message(self.number, self.answered)
            wrong = fault(line, asked, self.difficulty)
            if wrong or self.answered == self.requests:
                sys.exit(f"{wrong or 'a reply too many'}: asked {asked!r}, got {line!r}")
            self.answered += 1
        if chunk:
            if self.asked < self.requests and self.answered == self.asked:
                self.ask()
            return True
        if self.received or self.answered < self.requests:
            sys.exit(f"the stream ended after {self.answered} replies and {self.received!r}")
        return False


def main():
    host, *numbers = sys.argv[1:]
    port, connections, requests, difficulty = map(int, numbers)
    poll = selectors.DefaultSelector()
    share, rest = divmod(requests, connections)
    open_connections = [
        Connection(number, (host, port), share + (number < rest), difficulty)
        for number in range(connections)
    ]
    for connection in open_connections:
        poll.register(connection.socket, selectors.EVENT_READ, connection)
    while poll.get_map():
        ready = poll.select(PATIENCE)
        if not ready:
            sys.exit("no reply came in time")
        for key, _ in ready:
            if not key.data.receive():
                poll.unregister(key.data.socket)
                key.data.socket.close()
    print(sum(connection.answered for connection in open_connections))


main()
