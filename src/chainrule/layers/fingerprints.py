"""Hashes of bytes that are the same on every machine: FarmHash and SipHash, of 64 bits."""

from __future__ import annotations

from collections.abc import Sequence

_ALL = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def fingerprint64(data: bytes) -> int:
    """Return FarmHash's ``Fingerprint64``.

    Examples
    --------
    >>> from chainrule.layers.fingerprints import fingerprint64
    >>> fingerprint64(b"A") % 3
    1

    Source: Pike, FarmHash, https://github.com/google/farmhash (``farmhashna::Hash64``).
    """
    n = len(data)
    if n <= 16:
        return _short(data)
    if n > 64:
        return _long(data)
    mul = _K2 + 2 * n
    a = _word(data, 0) * (_K1 if n <= 32 else _K2) & _ALL
    b, c, d = _word(data, 8), _word(data, n - 8) * mul & _ALL, _word(data, n - 16) * _K2
    y = _turn(a + b, 43) + _turn(c, 30) + d
    z = _mixed(y, a + _turn(b + _K2, 18) + c, mul)
    if n <= 32:
        return z
    e, f = _word(data, 16) * mul & _ALL, _word(data, 24)
    g, h = (y + _word(data, n - 32)) * mul & _ALL, (z + _word(data, n - 24)) * mul
    return _mixed(_turn(e + f, 43) + _turn(g, 30) + h, e + _turn(f + a, 18) + g, mul)


def _short(data: bytes) -> int:
    """Return the hash of up to 16 bytes."""
    n = len(data)
    mul = _K2 + 2 * n
    if n >= 8:
        a, b = _word(data, 0) + _K2 & _ALL, _word(data, n - 8)
        return _mixed(_turn(b, 37) * mul + a, (_turn(a, 25) + b) * mul, mul)
    if n >= 4:
        first, last = (int.from_bytes(part, "little") for part in (data[:4], data[-4:]))
        return _mixed(n + (first << 3), last, mul)
    if not n:
        return _K2
    y, z = data[0] + (data[n >> 1] << 8), n + (data[-1] << 2)
    return _shifted(y * _K2 ^ z * _K0) * _K2 & _ALL


def _long(data: bytes) -> int:
    """Return the hash of more than 64 bytes, in blocks of 64 of which the last may overlap."""
    n = len(data)
    x, y = 81 * _K2 + _word(data, 0) & _ALL, 81 * _K1 + 113 & _ALL
    z = _shifted(y * _K2 + 113) * _K2 & _ALL
    v = w = (0, 0)
    for at in range(0, (n - 1) // 64 * 64, 64):
        x = _turn(x + y + v[0] + _word(data, at + 8), 37) * _K1 & _ALL ^ w[1]
        y = _turn(y + v[1] + _word(data, at + 48), 42) * _K1 + v[0] + _word(data, at + 40)
        z = _turn(z + w[0], 33) * _K1
        v = _weak(data, at, v[1] * _K1, x + w[0])
        w = _weak(data, at + 32, z + w[1], y + _word(data, at + 16))
        x, z = z & _ALL, x
    mul, at = _K1 + ((z & 0xFF) << 1), n - 64
    w = (w[0] + (n - 1 & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x = _turn(x + y + v[0] + _word(data, at + 8), 37) * mul & _ALL ^ w[1] * 9 & _ALL
    y = _turn(y + v[1] + _word(data, at + 48), 42) * mul + v[0] * 9 + _word(data, at + 40)
    z = _turn(z + w[0], 33) * mul
    v = _weak(data, at, v[1] * mul, x + w[0])
    w = _weak(data, at + 32, z + w[1], y + _word(data, at + 16))
    first = _mixed(v[0], w[0], mul) + _shifted(y) * _K0 + x
    return _mixed(first, _mixed(v[1], w[1], mul) + z, mul)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _turn(value: int, bits: int) -> int:
    """Return 64 bits turned to the right."""
    value &= _ALL
    return (value >> bits | value << 64 - bits) & _ALL


def _shifted(value: int) -> int:
    value &= _ALL
    return value ^ value >> 47


def _mixed(u: int, v: int, mul: int) -> int:
    a = _shifted(((u ^ v) & _ALL) * mul)
    return _shifted(((v ^ a) & _ALL) * mul) * mul & _ALL


def _weak(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """Return a hash of 32 bytes and two seeds."""
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a += w
    b = _turn(b + a + z, 21) + _turn(a + x + y, 44)
    return a + x + y + z & _ALL, a + b & _ALL


def siphash64(data: bytes, key: Sequence[int]) -> int:
    """Return SipHash-2-4 with a key of two numbers.

    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012, section 2.

    Examples
    --------
    >>> from chainrule.layers.fingerprints import siphash64
    >>> hex(siphash64(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)))
    '0xa129ca6149be45e5'
    """
    constants = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = tuple(c ^ key[i % 2] & _ALL for i, c in enumerate(constants))
    whole = len(data) // 8 * 8
    words = [_word(data, at) for at in range(0, whole, 8)]
    words.append((len(data) & 0xFF) << 56 | int.from_bytes(data[whole:], "little"))
    for word in words:
        a, b, c, d = _round(_round((state[0], state[1], state[2], state[3] ^ word)))
        state = (a ^ word, b, c, d)
    state = (state[0], state[1], state[2] ^ 0xFF, state[3])
    for _ in range(4):
        state = _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(state: tuple[int, ...]) -> tuple[int, ...]:
    a, b, c, d = state
    a, c = a + b & _ALL, c + d & _ALL
    b, d = _turn(b, 51) ^ a, _turn(d, 48) ^ c
    a, c = _turn(a, 32) + d & _ALL, c + b & _ALL
    d, b = _turn(d, 43) ^ a, _turn(b, 47) ^ c
    return a, b, _turn(c, 32), d
