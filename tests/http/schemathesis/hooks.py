"""What schemathesis does not know: lines of JSON, and what makes a solution right."""

import base64
import hashlib
import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]


def check_solution(solved):
    """Whether a solution is one, whatever it was asked for."""
    if "message" in solved:
        message = solved["message"].encode()
    else:
        message = base64.b64decode(solved["message_base64"], validate=True)
    digest = hashlib.sha256(solved["seed"].encode() + message).hexdigest()
    assert solved["hash"] == digest, f"wrong hash: {solved}"
    assert digest.startswith("0" * solved["difficulty"]), f"too few zeros: {solved}"


@schemathesis.check
def solutions_are_right(context, response, case):
    kind = response.headers.get("content-type", [""])[0]
    if response.status_code != 200 or "json" not in kind:
        return
    match case.operation.path:
        case "/v1/solve":
            check_solution(json.loads(response.content))
        case "/v1/jobs/{id}":
            job = json.loads(response.content)
            if job["state"] == "found":
                check_solution(job["solution"])
            assert (job["state"] == "found") == (job["solution"] is not None), job
            assert (job["state"] == "failed") == (job["error"] is not None), job
        case "/v1/batch":
            for line in read_lines(context, response):
                if "error" not in line:
                    check_solution(line)


@schemathesis.check
def each_line_is_answered(context, response, case):
    """One answer for each line of a batch: whether it is right, the other checks see."""
    if case.operation.path != "/v1/batch" or response.status_code != 200:
        return
    body = response.request.body or b""
    body = body.encode() if isinstance(body, str) else body
    lines = body.removesuffix(b"\n").split(b"\n") if body else []
    kind = response.headers["content-type"][0]
    if kind == "application/x-ndjson":
        # A blank line asks for nothing.
        lines = [line for line in lines if line.strip(b" \t\n\r\f")]
    answers = response.content.count(b"\n")
    assert answers == len(lines), f"{answers} answers to {len(lines)} lines"
    if kind == "text/plain":
        for message, answer in zip(lines, response.content.split(b"\n")):
            is_error = answer.startswith(b"ERR ") and b"," not in answer
            assert is_error or answer.startswith(message + b","), "out of order"
