"""Changes files a little, as an editor, a bad disk or somebody with bad intentions would.

Everything follows from one source of random numbers: the same seed gives the same file.
"""

from __future__ import annotations

import io
import re
import zipfile
from random import Random
from typing import Callable, Dict, List, Sequence, Tuple

Files = Tuple[bytes, ...]
Change = Callable[[Random, bytes, Sequence[bytes]], bytes]

_LARGEST = 4096

_NUMBERS = (
    *(b"0", b"1", b"2", b"3", b"-1", b"7", b"16", b"255", b"256", b"-128", b"65536"),
    *(b"2147483647", b"2147483648", b"-2147483649", b"4294967296", b"9223372036854775808"),
    *(b"0.5", b"-0.0", b"1e-46", b"1e39", b"1e400", b"nan", b"inf", b"-inf", b"0x7f", b"010"),
    *(b"99999999999999999999999999", b"9" * 400, b"1000", b"100000", b"true", b'""', b"{}", b"[]"),
)
_TOKENS = (
    *(b"{", b"}", b"[", b"]", b'"', b"'", b"\\", b":", b",", b"#", b"<", b">", b";", b"\n", b"\0"),
    *(b"layer { ", b"null", b"true", b"false", b"TRAIN", b"TEST", b"\xff", b"\xc3\xa9", b"\\377"),
    *(b'top: "data" ', b'bottom: "data" ', b'"name": ', b"phase: TEST ", b"axis: -1 ", b"dim: 0 "),
)
_NUMBER = re.compile(rb"(?<![\w.])-?\d[\d.eE+-]*")
_WORD = re.compile(rb'"[^"\n]*"|\w+')


def mutated(random: Random, files: Files, others: Sequence[Files], kinds: Sequence[str]) -> Files:
    """Return ``files`` with one to eight changes, most often few.

    Args:
        random: decides everything.
        files: of one seed.
        others: the files of all seeds, from which pieces are taken.
        kinds: of each file: ``text``, ``binary`` or ``zip``.
    """
    result = list(files)
    # The first file says what the others are read as.
    place = 0 if len(files) == 1 or random.random() < 0.8 else random.randrange(1, len(files))
    same = [each[place] for each in others]
    changes = _CHANGES[kinds[place]]
    for _ in range(min(8, 1 + int(random.expovariate(0.7)))):
        result[place] = random.choice(changes)(random, result[place], same)[:_LARGEST]
    return tuple(result)


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << random.randrange(8))]) + data[place + 1 :]


def _byte(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + bytes([random.choice((0, 1, 127, 128, 255))]) + data[place + 1 :]


def _varint(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    varint = random.choice(
        (b"\xff\xff\xff\xff\x0f", b"\x80" * 9 + b"\x01", b"\x80\x80\x01", b"\x80")
    )
    return data[:place] + varint + data[place + random.randrange(2) :]


def _cut(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[end:]


def _end(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _repeat(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[start:end] * random.choice((2, 2, 3, 50)) + data[end:]


def _take(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    start, end = _span(random, other)
    place = random.randrange(len(data) + 1)
    return data[:place] + other[start:end] + data[place:]


def _token(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(_TOKENS) + data[place:]


def _number(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(random, data, _NUMBER, lambda _: random.choice(_NUMBERS))


def _near(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    def other(found: bytes) -> bytes:
        if not found.lstrip(b"-").isdigit() or len(found) > 18:
            return found
        return str(int(found) + random.choice((-2, -1, 1, 2))).encode()

    return _replaced(random, data, _NUMBER, other)


def _word(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    words = _WORD.findall(random.choice((data, random.choice(others))))
    return _replaced(random, data, _WORD, lambda _: random.choice(words)) if words else data


def _line_gone(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def _line_moved(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    line = lines[random.randrange(len(lines))]
    if random.random() < 0.5:
        lines.remove(line)
    lines.insert(random.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _line_taken(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    lines.insert(
        random.randrange(len(lines) + 1), random.choice(random.choice(others).split(b"\n"))
    )
    return b"\n".join(lines)


def _field_gone(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(random, data, re.compile(rb'\w+: ?("[^"\n]*"|[\w.+-]+),?'), lambda _: b"")


def _deep(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    before, behind = random.choice(((b"{", b"}"), (b"[", b"]"), (b"a {", b"}"), (b'{"a":', b"}")))
    depth = random.choice((1, 3, 300))
    return data[:start] + before * depth + data[start:end] + behind * depth + data[end:]


def _member(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change what is inside of an archive, whose checksums fit again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(each.filename, archive.read(each)) for each in archive.infolist()]
        place = random.randrange(len(members))
        name, content = members[place]
        change = random.choice((_header, _header, _flip, _cut, _end, _byte, _repeat))
        members[place] = (name, change(random, content, others))
        if random.random() < 0.1:
            members.append((random.choice(("x.npy", "../x.npy", name, "y")), content))
        stream = io.BytesIO()
        method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return stream.getvalue()
    except Exception:  # it has been changed too much before
        return _flip(random, data, others)


def _header(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change the text of an array's header, and perhaps its length to fit."""
    start = 10
    end = data.find(b"\n") + 1
    text = random.choice((_number, _near, _word, _token, _field_gone))(
        random, data[start:end], [b"'descr' '<f4' '>i2' '|O' '|V0' '<U9' '<c8' True (1,2) {} -1"]
    )
    size = len(text) if random.random() < 0.9 else random.randrange(70000)
    return data[:8] + (size % 65536).to_bytes(2, "little") + text + data[end:]


def _span(random: Random, data: bytes) -> Tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + 1 + int(random.expovariate(1 / 12)))


def _replaced(
    random: Random, data: bytes, what: re.Pattern[bytes], other: Callable[[bytes], bytes]
) -> bytes:
    found = list(what.finditer(data))
    if not found:
        return data
    match = random.choice(found)
    return data[: match.start()] + other(match.group()) + data[match.end() :]


_ANY: List[Change] = [_flip, _byte, _cut, _end, _repeat, _take]
_CHANGES: Dict[str, List[Change]] = {
    "binary": [*_ANY, _flip, _byte, _varint, _varint],
    "text": [
        *(_flip, _cut, _repeat, _take, _token, _deep),
        *(_number, _number, _number, _near, _near, _word, _word, _word),
        *(_line_gone, _line_gone, _line_moved, _line_moved, _line_taken, _field_gone, _field_gone),
    ],
    "zip": [*_ANY, _member, _member, _member, _member],
}
