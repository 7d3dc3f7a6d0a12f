"""ZeroMQ messages are as in docs/messages.md, and any request gets at worst an error."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtdecode.messages import (
    CURSOR_TOPIC,
    MESSAGE_VERSION,
    STATUS_TOPIC,
    Cursor,
    Flag,
    RequestError,
    decode_request,
    encode_reply,
    flag_names,
)

CURSOR_KEYS = ["v", "seq", "bin", "t_bin", "t_close", "t_pub", "value", "n", "late", "lost", "flags", "model"]

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=9)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9) | st.binary(), inner),
    max_leaves=8,
)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def read(frames: list[bytes]) -> tuple[dict[str, Any], bool] | str:
    """The request and whether it is JSON, or why it was refused."""
    try:
        return decode_request(frames)
    except RequestError as error:
        return str(error)


def check_answer(frames: list[bytes]) -> None:
    """Check that the answer can be sent back."""
    answer = read(frames)
    if isinstance(answer, str):
        assert answer
        # The reason is returned to the sender in JSON.
        assert json.loads(encode_reply({"ok": False, "error": answer}, as_json=True))["error"] == answer
    else:
        request, is_json = answer
        assert isinstance(request["cmd"], str)
        assert isinstance(is_json, bool)


flips = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=4))
@example([b""])
@example([b"\x81\x80\x01"])  # a map as a key
@example([b"\x81\x92\x01\x80\x01"])  # a list as a key
@example([b"\xdd\xff\xff\xff\xff"])  # four billion items to come
@example([b"\xdf\xff\xff\xff\xff"])
@example([b"\xc6\xff\xff\xff\xff"])
@example([b"\xd7\xff" + b"\xff" * 8])  # an impossible time
@example([b"\xc7\x0c\xff" + b"\x7f" * 12])
@example([b"\x81\xa3cmd\xa2\xff\xfe"])  # text that is not UTF-8
@example([b"\x91" * 200_000])  # nested too deeply
@example([b"\x81\xa1a" * 100_000])
@example([b"[" * 200_000])
@example([b'{"a":' * 100_000])
@example([b'{"cmd": ' + b"9" * 10_000 + b"}"])
@example([b'{"cmd": "\\ud800"}'])
@example([b'{"cmd": 1e999}'])
@example([b'\xef\xbb\xbf{"cmd": "status"}'])
@example(['{"cmd": "status"}'.encode("utf-16")])
def test_any_frames_get_at_worst_an_error(frames: list[bytes]) -> None:
    check_answer(frames)


requests = plain.map(lambda value: msgpack.packb({"cmd": "status", "value": value})) | json_like.map(
    lambda value: json.dumps({"cmd": "status", "value": value}).encode()
)


@settings(deadline=None, max_examples=300)
@given(request=requests, damage=flips)
def test_a_damaged_request_gets_at_worst_an_error(request: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(request)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    check_answer([bytes(damaged)])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([b"", b" ", b"\n\t "]))
def test_the_encoding_is_recognised_from_the_request(command: str, space: bytes) -> None:
    request = {"cmd": command, "path": "x.safetensors", "n": 3}
    assert decode_request([msgpack.packb(request)]) == (request, False)
    assert decode_request([space + json.dumps(request).encode()]) == (request, True)
    assert decode_request([json.dumps(request, ensure_ascii=False).encode()]) == (request, True)


@pytest.mark.parametrize("size", [1, 16, 70_000])
def test_msgpack_maps_of_every_size_are_recognised(size: int) -> None:
    request = {"cmd": "status"} | {f"k{i}": i for i in range(size)}
    assert decode_request([msgpack.packb(request)]) == (request, False)


@pytest.mark.parametrize(
    "document", [3, "status", None, [], ["cmd"], {}, {"cmd": 3}, {"cmd": None}, {"c": "x"}]
)
def test_anything_but_a_map_with_a_cmd_is_refused(document: Any) -> None:
    for data in (msgpack.packb(document), json.dumps(document).encode(), msgpack.packb({"cmd": b"status"})):
        with pytest.raises(RequestError, match=" map"):
            decode_request([data])


@pytest.mark.parametrize("n", [0, 2, 5])
def test_a_request_is_one_frame(n: int) -> None:
    with pytest.raises(RequestError, match=f"one frame, this one {n}"):
        decode_request([b'{"cmd": "status"}'] * n)


def test_replies_have_the_encoding_of_the_request() -> None:
    reply = {"ok": True, "bin": 7, "names": ["x", "µ"], "nothing": None, "nested": {"a": 1.5}}
    for data in (msgpack.packb({"cmd": "status"}), b'{"cmd": "status"}'):
        _, is_json = decode_request([data])
        encoded = encode_reply(reply, as_json=is_json)
        read = json.loads(encoded) if data.startswith(b"{") else msgpack.unpackb(encoded)
        assert read == reply


def test_a_cursor_is_a_map_with_the_keys_of_the_contract() -> None:
    values = [MESSAGE_VERSION, 5, 1234, 10.5, 10.501, 10.502, [1.5, -2.0], 17, 1, 2, 5, "0a1b2c3d"]
    read = msgpack.unpackb(msgspec.msgpack.Encoder().encode(Cursor(*values)))
    assert list(read.items()) == list(zip(CURSOR_KEYS, values, strict=True))
    assert MESSAGE_VERSION == 1
    assert (CURSOR_TOPIC, STATUS_TOPIC) == (b"cursor", b"status")


def test_a_cursor_keeps_its_numbers_over_hours() -> None:
    # More than a day: no value may be rounded to float32 or 32 bits.
    cursor = Cursor(1, 2**33, 2**34, 123456.123456789, 0.1, 1e9 + 1e-6, [0.1], 2**32, 0, 0, 63, "")
    read = msgpack.unpackb(msgspec.msgpack.encode(cursor))
    assert (read["seq"], read["bin"], read["n"]) == (2**33, 2**34, 2**32)
    assert (read["t_bin"], read["t_pub"], read["value"]) == (123456.123456789, 1e9 + 1e-6, [0.1])


def test_flags_have_the_bits_of_the_contract() -> None:
    bits = {"STALE": 1, "CATCH_UP": 2, "GAP": 4, "SWAPPED": 8, "FAILSAFE": 16, "PAUSED": 32, "PARTIAL": 64}
    assert {flag.name: int(flag) for flag in Flag} == bits
    for flags in range(64):
        assert sum(bits[name] for name in flag_names(flags)) == flags
    assert flag_names(Flag.PAUSED | Flag.STALE) == ["STALE", "PAUSED"]
    assert flag_names(0) == []
