"""Changes to the bytes of a file, and to the JSON in it."""

from __future__ import annotations

import json
import random
import re
from typing import Any

HUGE = [0, 1, 7, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1,
        2**63, 2**64 - 1]  # fmt: skip
STRANGE = [None, -1, 0, 1, 2**31, 2**40, 2**63, 10**400, 1.5, -0.0, 1e308, float("nan"),
           float("inf"), "", "os.system", "é", "\0", "\ud800", "__import__('os').abort()",
           "a" * 3000, [], {}, [[]], [None], True, "relu", ["F32"], [1] * 40, [2**40, 2**40],
           {"class_name": "Dense", "config": {}}, {"class_name": "Lambda", "config": {"name": "l",
           "function": "os.system"}}, {"class_name": "__lambda__", "config": {"value": "x"}},
           {"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}},
           "arange", "eye", "tri", "linspace", "diff", "unstack", "split", "sparsemax", 20_000,
           2**27, {"class_name": "AUC", "config": {"num_thresholds": 2**30}}, {"tuple": [2**27]},
           {"array": [1], "dtype": "U100000000"}, {"symbol": 0}, {"symbol": -1},
           {"array": [1, 2], "dtype": "O"}, {"array": [10**400], "dtype": "float64"},
           {"tuple": [{"symbol": 9**9}]}, {"dict": 3}, {"slice": [1, 2, 3, 4]},
           {"$array": "nothing"}]  # fmt: skip


def of_bytes(content: bytes, choose: random.Random) -> bytes:
    """Return other bytes: some flipped, cut out, put in, repeated, or numbers made huge."""
    changed = content
    while changed == content:
        for _ in range(choose.choice([1, 1, 1, 2, 4])):
            changed = choose.choice(CHANGES)(bytearray(changed), choose)
    return changed


def _place(content: bytearray, choose: random.Random) -> tuple[int, int]:
    at = choose.randrange(len(content) + 1)
    if choose.random() < 0.3:
        at = min(at, choose.randrange(400))  # where most is said about the rest
    return at, at + choose.choice([1, 2, 8, 40, 600])


def _flip(content: bytearray, choose: random.Random) -> bytes:
    for _ in range(choose.choice([1, 1, 1, 8])):
        if content:
            content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
    return bytes(content)


def _cut(content: bytearray, choose: random.Random) -> bytes:
    at, end = _place(content, choose)
    return bytes(content[:at] if choose.random() < 0.5 else content[:at] + content[end:])


def _insert(content: bytearray, choose: random.Random) -> bytes:
    at, end = _place(content, choose)
    new = choose.choice([choose.randbytes(end - at), b"\xff\xfe\x80", b"\0" * (end - at)])
    return bytes(content[:at] + new + content[at:])


def _blank(content: bytearray, choose: random.Random) -> bytes:
    at, end = _place(content, choose)
    new = choose.choice([b"\0", b"\xff", b"0"]) * len(content[at:end])
    return bytes(content[:at] + new + content[end:])


def _repeat(content: bytearray, choose: random.Random) -> bytes:
    at, end = _place(content, choose)
    to = choose.randrange(len(content) + 1)
    part = content[at:end]
    skip = choose.choice([0, len(part)])
    return bytes(content[:to] + part + content[to + skip :])


def _number(content: bytearray, choose: random.Random) -> bytes:
    """Make what may be a length, an address or a count another."""
    width = choose.choice([1, 2, 4, 8])
    at = choose.randrange(len(content) + 1) // width * width
    value = choose.choice([*HUGE, len(content), choose.randrange(len(content) + 1)])
    new = (value % 256**width).to_bytes(width, choose.choice(["little", "little", "big"]))
    return bytes(content[:at] + new + content[at + width :])


CHANGES = [_flip, _flip, _cut, _insert, _blank, _repeat, _number, _number]


def of_json(text: bytes, choose: random.Random) -> bytes:
    """Return JSON that says something else: other values, keys twice, nesting, huge numbers."""
    kind = choose.random()
    if kind < 0.6:
        try:
            return json.dumps(strange(json.loads(text), choose)).encode()
        except (ValueError, RecursionError):
            return text
    if kind < 0.7:
        return _twice(text, choose)
    if kind < 0.8:
        return _nested(text, choose)
    if kind < 0.9:
        return _other_number(text, choose)
    return of_bytes(text, choose)


def strange(value: Any, choose: random.Random) -> Any:
    """Return the value with a part of it replaced, removed, repeated, or swapped with another."""
    if isinstance(value, str) and value[:1] == "{":
        return json.dumps(strange(json.loads(value), choose))
    if isinstance(value, dict | list) and value and choose.random() < 0.9:
        copy = value.copy()
        key = choose.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
        kind = choose.random()
        if kind < 0.1:
            del copy[key]
        elif kind < 0.15 and isinstance(copy, list):
            copy.append(copy[key])
        elif kind < 0.2:
            other = choose.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
            copy[key], copy[other] = copy[other], copy[key]
        elif kind < 0.25 and isinstance(copy, dict):
            copy[choose.choice(["shape", "name", "\ud800", "x" * 300])] = copy.pop(key)
        else:
            copy[key] = strange(copy[key], choose)
        return copy
    if type(value) is int and choose.random() < 0.5:
        return value + choose.choice([-1, 1, 2, 10**6])
    return choose.choice(STRANGE)


def _twice(text: bytes, choose: random.Random) -> bytes:
    """Give a key a second value."""
    keys = [m.start() for m in re.finditer(rb'\\?"[\w /$.]+\\?": ?', text)]
    if not keys:
        return text
    at = choose.choice(keys)
    key = re.match(rb'(\\?"[\w /$.]+\\?": ?)', text[at:])
    return text[:at] + (key[1] if key else b"") + b"[1], " + text[at:]


def _nested(text: bytes, choose: random.Random) -> bytes:
    """Put one thing into another many times."""
    depth = choose.choice([10, 900, 990, 5000, 100_000])
    values = [m.end() for m in re.finditer(rb"[:,] ?", text)]
    if not values:
        return text
    at = choose.choice(values)
    begin, end = choose.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"tuple":[', b"]}")])
    return text[:at] + begin * depth + b"1" + end * depth + b"," + text[at:]


def _other_number(text: bytes, choose: random.Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", text))
    if not numbers:
        return text
    found = choose.choice(numbers)
    new = choose.choice([b"1" * 5000, b"1e999", b"-1", b"NaN", b"1" + b"0" * 30, b"-0", b"1e2",
                         b"9223372036854775808", b"4294967297", b'"1"', b"1.0"])  # fmt: skip
    return text[: found.start()] + new + text[found.end() :]
