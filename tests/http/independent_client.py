"""A client of the API that shares no code with powd: Python's standard library alone.

Keeps many connections at once, on each of them one request at a time: first single messages, as bytes and as JSON,
then as many in a batch of NDJSON, then as many in a batch of lines. Difficulties from 0 to 4 are mixed. It reads
HTTP, JSON and lines by itself, checks every answer with hashlib, and ends with exit code 0 only if each message got
exactly one right answer. What it counted it prints as JSON.

    independent_client.py HOST PORT CONNECTIONS MESSAGES
"""

import base64
import collections
import hashlib
import json
import multiprocessing
import os
import selectors
import socket
import string
import sys

ALPHABET = frozenset(string.ascii_letters + string.digits)
SEED_LENGTH = 5
HARDEST = 4
# Far longer than it takes until the next answer comes, on any connection: a guard against hanging.
PATIENCE = 60.0


class Fault(Exception):
    """Something that powd must not do."""


def expect(is_right, what, *details):
    if not is_right:
        raise Fault(what, *details)


def message(connection, number):
    """Message `number` of a connection; some have commas, some are empty, long, or no text. None has a newline."""
    kind = number % 6
    if kind == 0:
        return b"connection %d message %d" % (connection, number)
    if kind == 1:
        return b"%d,with,commas,\"quoted\"\\,%d," % (connection, number)
    if kind == 2:
        return b""
    if kind == 3:
        return b"long %d " % number * (1 + number % 20)
    if kind == 4:
        return "größer als \u2603 \U0001f600 \0 \r %d".encode() % number
    return bytes(byte for byte in number.to_bytes(4, "little") if byte != 10) + b"\xff\0"


def difficulty(number):
    """That of message `number`: each of them with each kind of message."""
    return number // 6 % (HARDEST + 1)


def as_text(message):
    try:
        return message.decode()
    except UnicodeDecodeError:
        return None


def check_solution(asked, hardness, seed, digest):
    expect(len(seed) == SEED_LENGTH and ALPHABET.issuperset(seed), "not a seed", seed)
    expect(hashlib.sha256(seed.encode() + asked).hexdigest() == digest, "wrong hash", asked, seed, digest)
    expect(digest.startswith("0" * hardness), "too few zeros", hardness, digest)


def check_json(asked, hardness, solved):
    text = as_text(asked)
    name, value = ("message", text) if text is not None else ("message_base64", base64.b64encode(asked).decode())
    fields = {name, "seed", "hash", "difficulty", "hashes", "seconds"}
    expect(solved.keys() == fields, "not these fields", solved)
    expect(solved[name] == value, "the message came back changed", asked, solved)
    expect(solved["difficulty"] == hardness, "another difficulty", hardness, solved)
    expect(type(solved["hashes"]) is int and solved["hashes"] >= 1, "no hashes", solved)
    expect(solved["seconds"] >= 0, "no time", solved)
    check_solution(asked, hardness, solved["seed"], solved["hash"])


def check_line(asked, hardness, line):
    fields = line.rsplit(b",", 2)
    expect(len(fields) == 3 and fields[0] == asked, "not the reply line", asked, line)
    check_solution(asked, hardness, fields[1].decode(), fields[2].decode())


def request(path, headers, body):
    lines = [f"POST {path} HTTP/1.1", "Host: powd", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def as_object(asked, hardness):
    """The message as JSON, with its difficulty."""
    text = as_text(asked)
    if text is not None:
        return {"message": text, "difficulty": hardness}
    return {"difficulty": hardness, "message_base64": base64.b64encode(asked).decode()}


def single(connection, number):
    """A request for one message, and the check of its answer."""
    asked, hardness = message(connection, number), difficulty(number)
    is_json, wants_line = number % 2 == 0, number % 3 == 0
    headers = ["Accept: text/plain"] if wants_line else []
    if is_json:
        headers.append("Content-Type: application/json; charset=utf-8")
        sent = request("/v1/solve", headers, json.dumps(as_object(asked, hardness)).encode())
    else:
        sent = request(f"/v1/solve?difficulty={hardness}", headers, asked)

    def check(kind, body):
        if wants_line:
            expect(kind == "text/plain" and body.endswith(b"\n"), "not a line", kind, body)
            check_line(asked, hardness, body[:-1])
        else:
            expect(kind == "application/json", "not JSON", kind)
            check_json(asked, hardness, json.loads(body))
        return {f"solve {hardness}": 1}

    return sent, check


def ndjson_batch(connection, numbers):
    """A request for many messages in any order, and the check of its answer."""
    open_ids = {}
    lines = []
    for place, number in enumerate(numbers):
        asked = as_object(message(connection, number), difficulty(number))
        # By default it is the line's number.
        identity = place
        if number % 3:
            identity = asked["id"] = f"message {number}"
        open_ids[identity] = number
        lines.append(json.dumps(asked))
    sent = request("/v1/batch", ["Content-Type: application/x-ndjson"], "\n".join(lines).encode())

    def check(kind, body):
        expect(kind == "application/x-ndjson" and body.endswith(b"\n"), "not NDJSON", kind)
        counts = collections.Counter()
        for line in body[:-1].split(b"\n"):
            solved = json.loads(line)
            number = open_ids.pop(solved.pop("id"), None)
            expect(number is not None, "answered twice, or not asked", line)
            check_json(message(connection, number), difficulty(number), solved)
            counts[f"ndjson {difficulty(number)}"] += 1
        expect(not open_ids, "without an answer", open_ids)
        return counts

    return sent, check


def line_batch(connection, numbers):
    """A request for many messages in order, all of one difficulty, and the check of its answer."""
    hardness = connection % (HARDEST + 1)
    asked = [message(connection, number) for number in numbers]
    sent = request(f"/v1/batch?difficulty={hardness}", [], b"\n".join(asked) + b"\n")

    def check(kind, body):
        expect(kind == "text/plain" and body.endswith(b"\n"), "not lines", kind)
        lines = body[:-1].split(b"\n")
        expect(len(lines) == len(asked), "not as many lines", len(lines), len(asked))
        for one, line in zip(asked, lines):
            check_line(one, hardness, line)
        return {f"lines {hardness}": len(lines)}

    return sent, check


def exchanges(connection, messages):
    """All requests of a connection, each with the check of its answer."""
    for number in range(messages):
        yield single(connection, number)
    yield ndjson_batch(connection, range(messages))
    yield line_batch(connection, range(messages))


class Answers:
    """Answers of HTTP/1.1, cut from what comes."""

    def __init__(self):
        self.received = bytearray()
        self.kind = self.length = None
        self.body = bytearray()

    def next(self):
        """The content type and the body of the next answer, once all of it is here."""
        if self.kind is None and not self.read_head():
            return None
        if self.length is not None:
            if len(self.received) < self.length:
                return None
            self.body = self.take(self.length)
        elif not self.read_chunks():
            return None
        whole = self.kind, bytes(self.body)
        self.kind, self.body = None, bytearray()
        return whole

    def take(self, count):
        taken = self.received[:count]
        del self.received[:count]
        return taken

    def read_head(self):
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = self.take(end + 4)[:-4].decode("ascii").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        expect(first == "HTTP/1.1 200 OK", "refused", first, bytes(self.received))
        expect(headers.get("connection", "keep-alive") == "keep-alive", "not kept alive", headers)
        self.kind = headers["content-type"]
        self.length = int(headers["content-length"]) if "content-length" in headers else None
        expect((self.length is None) == (headers.get("transfer-encoding") == "chunked"), "no length", headers)
        return True

    def read_chunks(self):
        while (end := self.received.find(b"\r\n")) >= 0:
            size = int(self.received[:end], 16)
            if len(self.received) < end + 2 + size + 2:
                return False
            self.take(end + 2)
            self.body += self.take(size)
            expect(self.take(2) == b"\r\n", "a chunk without its end")
            if size == 0:
                return True
        return False


class Connection:
    """One connection, with one request at a time."""

    def __init__(self, number, address, messages):
        self.exchanges = exchanges(number, messages)
        self.answers = Answers()
        self.counts = collections.Counter()
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setblocking(False)
        self.unsent = b""
        self.ask()

    def ask(self):
        """Begins with the next request, if there is one."""
        self.unsent, self.check = next(self.exchanges, (b"", None))

    def events(self):
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)

    def send(self):
        self.unsent = self.unsent[self.socket.send(self.unsent):]

    def receive(self):
        """Takes in what has come. Returns false when there is nothing more to ask."""
        piece = self.socket.recv(1 << 18)
        expect(piece, "the connection ended")
        self.answers.received += piece
        while (answer := self.answers.next()) is not None:
            expect(self.check is not None, "an answer too many", answer)
            self.counts.update(self.check(*answer))
            self.ask()
        return self.check is not None


def talk(address, numbers):
    """Runs the connections of these numbers; each with the messages it has. What they counted."""
    poll = selectors.DefaultSelector()
    counts = collections.Counter()
    for number, messages in numbers:
        connection = Connection(number, address, messages)
        poll.register(connection.socket, connection.events(), connection)
    while poll.get_map():
        ready = poll.select(PATIENCE)
        expect(ready, "no answer came in time")
        for key, events in ready:
            connection = key.data
            if events & selectors.EVENT_WRITE:
                connection.send()
            if events & selectors.EVENT_READ and not connection.receive():
                poll.unregister(connection.socket)
                connection.socket.close()
                counts += connection.counts
            elif connection.events() != key.events:
                poll.modify(connection.socket, connection.events(), connection)
    return counts


def main():
    host, *numbers = sys.argv[1:]
    port, connections, messages = map(int, numbers)
    share, rest = divmod(messages, connections)
    shares = [(number, share + (number < rest)) for number in range(connections)]
    # As many processes as CPUs: so it is powd that is waited for.
    processes = min(os.cpu_count(), connections)
    parts = [((host, port), shares[part::processes]) for part in range(processes)]
    try:
        with multiprocessing.Pool(processes) as pool:
            counts = sum(pool.starmap(talk, parts), collections.Counter())
    except Fault as fault:
        sys.exit(f"fault: {fault}")
    print(json.dumps(counts, sort_keys=True))


if __name__ == "__main__":
    main()
