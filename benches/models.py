#!/usr/bin/env python3
"""Cycles per hash by LLVM's models of processors, from the compiled loops of the kernels.

    benches/models.py [aarch64] [x86_64]

A model knows which instruction waits for which unit, and how long. It knows nothing of caches, of decoders, of
branches that are mispredicted, nor what its makers were not told. So its figures show what limits a loop, and which
of two loops is better on a processor that is not here; they are no measurement. docs/kernels.md has them.

Needs cargo, a compiler that has the standard library of the architecture (RUSTC names one), and llvm-mca (LLVM_MCA
names one): Debian's package llvm-19, and for the compiler what `.ci/install` installs.
"""

import heapq
import math
import os
import re
import subprocess
import sys

# Of each architecture: its target, the processors, and the kernels with the function that has the loops, the crate
# that has the function, the messages in one pass, and which of the loops is that of messages of one block. Shortest
# first, they are: later blocks; with SHA-NI the last batch, which makes no schedule for a next one; one block; more.
ARCHITECTURES = {
    "aarch64": (
        "aarch64-unknown-linux-gnu",
        ["neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2", "cortex-a72", "ampere1", "apple-m1"],
        {
            "arm-sha": ("kernel3arm7arm_sha", "powd-core", 4, 1),
            "neon-sha": ("kernel3arm8neon_sha", "powd-core", 4, 1),
            "neon": ("kernel3arm4neon", "powd-core", 8, 1),
            "sha2, SHA2 extension": ("aarch6415sha256_compress", "sha2", 1, 0),
            "sha2, plain": ("sha25611compress256", "sha2", 1, 0),
        },
    ),
    "x86_64": (
        "x86_64-unknown-linux-gnu",
        ["znver4", "sapphirerapids"],
        {
            "avx512-sha": ("kernel3x8610avx512_sha", "powd-core", 8, 2),
            "avx2-sha": ("kernel3x868avx2_sha", "powd-core", 8, 2),
            "avx512": ("kernel3x866avx512", "powd-core", 16, 1),
            "avx512x2": ("kernel3x868avx512x2", "powd-core", 32, 1),
            "sha-ni": ("kernel3x866sha_ni", "powd-core", 8, 2),
            "avx2": ("kernel3x864avx2", "powd-core", 8, 1),
        },
    ),
}

# Passes through a loop that a model is given: enough for start and end not to count.
PASSES = 200
# A block of fewer instructions is not the body of a hash.
LEAST = 60

JUMP = re.compile(r"(b|b\.\w+|cbn?z|tbn?z|j\w+)\s.*?(\.L[\w$]+)$")
ALWAYS = ("b", "jmp")
CALL = re.compile(r"(call\w*|blr?)\s")
END = re.compile(r"(ret|brk|udf|ud2|br)\b")
# Loads and stores of the stack; arguments and constants of the loop among them, but mostly spills.
STACK = re.compile(r"\[(sp|x29)|\(%r[sb]p\)")


def compiler(target):
    """A compiler with the standard library of `target`: of rustup, or of the distribution."""
    for rustc in filter(None, [os.environ.get("RUSTC"), "rustc", "/usr/bin/rustc"]):
        command = [rustc, "--print", "target-libdir", "--target", target]
        directory = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        if os.path.isdir(directory):
            return rustc
    sys.exit(f"no compiler has the standard library of {target}")


def assembly(crate, target):
    """What the release profile makes of a crate, as lines. Without link-time optimization, which changes nothing here:
    all that a kernel calls is inlined into it before."""
    output = os.path.abspath(f"{os.environ.get('CARGO_TARGET_DIR', 'target')}/models/{crate}-{target}.s")
    os.makedirs(os.path.dirname(output), exist_ok=True)
    features = ["--all-features"] if crate == "powd-core" else []
    subprocess.run(
        ["cargo", "rustc", "--quiet", "--locked", "--release", "--lib", "--package", crate, *features]
        + ["--target", target, "--", "--emit", f"asm={output}", "-C", "debuginfo=0"],
        env=os.environ | {"RUSTC": compiler(target), "CARGO_PROFILE_RELEASE_LTO": "off"},
        check=True,
    )
    with open(output, encoding="utf-8") as file:
        return file.read().splitlines()


def function(lines, name):
    """The lines of the first function whose symbol has `name` and a hash behind it."""
    symbol = re.compile(rf"\w*{name}17h\w+:")
    starts = [number for number, line in enumerate(lines) if symbol.match(line)]
    if not starts:
        sys.exit(f"no function {name}")
    body = lines[starts[0] + 1 :]
    ends = (number for number, line in enumerate(body) if line.startswith(".Lfunc_end"))
    return body[: next(ends)]


def blocks(lines):
    """The instructions in blocks that begin at a label or behind a jump, with what can follow each block."""
    names, codes, skipped = {}, [[]], False
    for line in lines:
        line = re.sub(r"\s*(//|##).*", "", line)
        text = line.strip()
        label = re.match(r"(\.L[\w$]+):", line)
        if label:
            codes.append([])
            names[label[1]] = len(codes) - 1
        elif text.startswith(".ifeq"):
            skipped = int(text.split()[1]) != 0
        elif text.startswith(".endif"):
            skipped = False
        elif re.match(r"[a-z]", text) and line.startswith("\t") and not skipped:
            codes[-1].append(text)
            if JUMP.match(text) or END.match(text):
                codes.append([])
    following = []
    for number, code in enumerate(codes):
        last = code[-1] if code else ""
        jump = JUMP.match(last)
        targets = [names[jump[2]]] if jump and jump[2] in names else []
        goes_on = not END.match(last) and not (jump and jump[1] in ALWAYS)
        if goes_on and number + 1 < len(codes):
            targets.append(number + 1)
        following.append(targets)
    return codes, following


def loops(lines):
    """For each block that is large enough to be a hash, the shortest way from it to itself, shortest first."""
    codes, following = blocks(lines)
    found = set()
    for start, code in enumerate(codes):
        if len(code) < LEAST:
            continue
        ways, seen = [(len(code), (start,))], set()
        while ways:
            length, way = heapq.heappop(ways)
            if start in following[way[-1]]:
                found.add(way[way.index(min(way)) :] + way[: way.index(min(way))])
                break
            for block in set(following[way[-1]]) - seen:
                seen.add(block)
                heapq.heappush(ways, (length + len(codes[block]), way + (block,)))
    bodies = [[text for block in way for text in codes[block]] for way in found]
    return sorted(bodies, key=len)


def cycles(body, target, processor):
    """Cycles of one pass through a loop, by the model of a processor; not a number where llvm-mca fails, which version
    19 does on some loops."""
    mca = os.environ.get("LLVM_MCA", "/usr/lib/llvm-19/bin/llvm-mca")
    architecture = target.split("-")[0]
    command = [mca, f"-mtriple={architecture}", f"-mcpu={processor}", f"-iterations={PASSES}"]
    if architecture == "aarch64":
        command.append("-mattr=+sha2")
    text = "".join(f"\t{line}\n" for line in body)
    report = subprocess.run(command, input=text, capture_output=True, text=True)
    total = re.search(r"Total Cycles:\s+(\d+)", report.stdout)
    if not total:
        print(f"{' '.join(command)} failed: {report.stderr.strip().splitlines()[0]}", file=sys.stderr)
        return math.nan
    return int(total[1]) / PASSES


def show(architecture):
    """The table of an architecture."""
    target, processors, kernels = ARCHITECTURES[architecture]
    crates = {}
    print(f"{'one hash':24}{'instructions':>14}{'of the stack':>14}", *(f"{name:>16}" for name in processors))
    for kernel, (name, crate, messages, one_block) in kernels.items():
        if crate not in crates:
            crates[crate] = assembly(crate, target)
        bodies = loops(function(crates[crate], name))
        rows = [(kernel, bodies[one_block])]
        if one_block > 0:
            rows.append(("  each later block", bodies[0]))
        for title, body in rows:
            # Not inlined, it would be without the instruction set; and a model does not follow it.
            if any(CALL.match(line) for line in body):
                sys.exit(f"the loop of {kernel} calls a function")
            stack = sum(bool(STACK.search(line)) for line in body)
            figures = [cycles(body, target, processor) / messages for processor in processors]
            print(
                f"{title:24}{len(body) / messages:14.1f}{stack / messages:14.1f}",
                *(f"{figure:16.1f}" for figure in figures),
            )


def main():
    for architecture in sys.argv[1:] or ARCHITECTURES:
        if architecture not in ARCHITECTURES:
            sys.exit(__doc__)
        show(architecture)
        print()


if __name__ == "__main__":
    main()
