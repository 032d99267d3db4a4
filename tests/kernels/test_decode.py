import base64
import binascii
import quopri

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtspam.kernels import decode
from tests.reference import decode as twin

DECODERS = {
    decode.ENCODING_NONE: bytes,
    decode.ENCODING_BASE64: twin.base64,
    decode.ENCODING_QUOTED: twin.quoted,
    decode.ENCODING_UU: twin.uu,
}
PIECES = [
    b"=", b"==", b"QUJD", b"QQ==", b"Q", b"-", b"_", b"\n", b"\r\n", b"\r", b" ", b"=3D", b"=3d",
    b"=3", b"=\n", b"= \r\n", b"=\t\n", b"begin 644 x\n", b"end\n", b"#86)C\n", b"!80``\n", b"`\n",
    b"\xff", b"begin \n", b"M86)C\n", b"=F", b"=E9", b"#86)C\r\n",
]  # fmt: skip
encoded = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=30).map(
    b"".join
)


def run(raw, encoding, room=1 << 16, skip=0):
    data = np.frombuffer(b"?" * skip + raw + b"?", np.uint8)
    out = np.full(room + 4, 0xEE, np.uint8)
    span = (skip, skip + len(raw))
    end, high, after = decode.decode_body(data, span, encoding, out, (2, room + 2))
    assert 2 <= end <= room + 2
    assert (out[:2] == 0xEE).all()
    assert (out[end:] == 0xEE).all()
    got = out[2:end].tobytes()
    assert high == sum(byte > 127 for byte in got)
    assert skip <= after <= skip + len(raw) + 1
    return got


@pytest.mark.parametrize(
    ("encoding", "raw", "expected"),
    [
        (decode.ENCODING_NONE, b"caf\xe9", b"caf\xe9"),
        (decode.ENCODING_BASE64, b"SGVs\r\nbG8=", b"Hello"),
        (decode.ENCODING_BASE64, b"SGk=SGk=", b"HiHi"),
        (decode.ENCODING_BASE64, b"S!G@k", b"Hi"),
        (decode.ENCODING_QUOTED, b"a=3Db =\nc =\r\nd=e9=zz=", b"a=b c d\xe9=zz="),
        (decode.ENCODING_UU, b"junk\nbegin 644 x\n#86)C\n`\nend\n#86)C\n", b"abc"),
    ],
)
def test_a_case_by_hand(encoding, raw, expected):
    assert run(raw, encoding) == expected


@given(encoded, st.sampled_from(list(DECODERS)), st.integers(0, 3))
def test_it_equals_its_twin(raw, encoding, skip):
    assert run(raw, encoding, skip=skip) == DECODERS[encoding](raw)


@given(encoded, st.sampled_from(list(DECODERS)), st.integers(0, 20))
def test_less_room_gives_a_beginning(raw, encoding, room):
    whole = run(raw, encoding)
    some = run(raw, encoding, room=room)
    assert whole.startswith(some)
    if encoding != decode.ENCODING_UU:  # which writes three bytes or none
        assert len(some) == min(room, len(whole))


@given(st.binary(max_size=300))
def test_it_undoes_the_standard_library(data):
    assert run(base64.encodebytes(data), decode.ENCODING_BASE64) == data
    assert run(base64.b64encode(data), decode.ENCODING_BASE64) == data
    assert run(quopri.encodestring(data, quotetabs=True), decode.ENCODING_QUOTED) == data
    lines = b"".join(binascii.b2a_uu(data[i : i + 45]) for i in range(0, len(data), 45))
    assert run(b"begin 644 x\n" + lines + b"`\nend\n", decode.ENCODING_UU) == data


@pytest.mark.parametrize("codec", ["latin-1", "cp1251", "koi8-r", "iso8859-7", "cp1252"])
@given(data=st.binary(max_size=50))
def test_a_one_byte_charset_is_read_as_the_standard_library_does(codec, data):
    points = [ord(bytes([byte]).decode(codec, "replace")) for byte in range(256)]
    table = np.array(points, np.uint32)
    out = np.full(200, 0xEE, np.uint8)
    raw = np.frombuffer(data, np.uint8)
    end = decode.table_to_utf8(raw, (0, len(data)), table, out, (3, 200))
    assert out[3:end].tobytes() == data.decode(codec, "replace").encode()
    assert (out[end:] == 0xEE).all()
    short = decode.table_to_utf8(raw, (0, len(data)), table, out, (0, 5))
    assert short <= 5


@given(st.one_of(st.binary(max_size=12), st.text(max_size=8).map(str.encode)), st.integers(0, 8))
def test_is_utf8_equals_its_twin(data, cut):
    data = data[: max(0, len(data) - cut)]
    assert decode.is_utf8(np.frombuffer(data, np.uint8), 0, len(data)) == twin.is_utf8(data)


@given(st.text(max_size=20))
def test_text_is_utf8(text):
    data = np.frombuffer(text.encode(), np.uint8)
    assert decode.is_utf8(data, 0, len(data))
