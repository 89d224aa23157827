"""Pictures as PNG files, with Python's own library alone: read, made smaller, written. Functions get it from the layer."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 6: 4}  # grey, colours, colours with transparency
LARGEST = 4_000_000  # pixels


class NotAPicture(ValueError):
    pass


def chunks(data):
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data.ljust(at + 12 + size, b"\0"), at + 8 + size)[0]:
            raise NotAPicture(f"the part {kind.decode(errors='replace')} is damaged")
        yield kind, body
        at += 12 + size


def unfilter(kind, line, above, step):
    """Undoes the filter of one line, in place (PNG specification, 9.2)."""
    for i in range(len(line)):
        left, up, corner = (line[i - step] if i >= step else 0), above[i], (above[i - step] if i >= step else 0)
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            by_left, by_up, by_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            guess = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
        line[i] = (line[i] + guess) & 255


def read(data):
    """(width, height, lines of red, green and blue bytes) of a file with eight bits a channel."""
    if not data.startswith(SIGNATURE):
        raise NotAPicture("it is no PNG file")
    parts = list(chunks(data))
    if not parts or parts[0][0] != b"IHDR" or len(parts[0][1]) != 13:
        raise NotAPicture("it has no header")
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", parts[0][1])
    if depth != 8 or colours not in CHANNELS or interlaced:
        raise NotAPicture("only eight bits a channel, without palette and interlacing, are understood")
    if not 0 < width * height <= LARGEST:
        raise NotAPicture(f"{width} x {height} pixels are too many, or none")
    step = CHANNELS[colours]
    size = height * (width * step + 1)
    try:
        raw = zlib.decompressobj().decompress(b"".join(body for kind, body in parts if kind == b"IDAT"), size)
    except zlib.error as e:
        raise NotAPicture(f"its pixels cannot be unpacked ({e})") from None
    if len(raw) != size:
        raise NotAPicture("it ends too early")
    lines, above = [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        line = bytearray(raw[start + 1:start + 1 + width * step])
        if raw[start] > 4:
            raise NotAPicture("a line has an unknown filter")
        if raw[start]:
            unfilter(raw[start], line, above, step)
        above = line
        lines.append(line if step == 3 else bytes(line[x * step + (c if step > 1 else 0)] for x in range(width) for c in range(3)))
    return width, height, lines


def shrink(picture, longest):
    """The picture with its longer side at most that many pixels; each is the mean of those that it stands for."""
    width, height, lines = picture
    factor = -(-max(width, height) // longest)
    out = []
    for y in range(0, height - height % factor or 1, factor):
        rows, line = lines[y:y + factor], bytearray()
        for x in range(0, width - width % factor or 1, factor):
            for c in range(3):
                values = [row[i] for row in rows for i in range(x * 3 + c, min(x + factor, width) * 3, 3)]
                line.append(sum(values) // len(values))
        out.append(line)
    return len(out[0]) // 3, len(out), out


def write(picture):
    width, height, lines = picture

    def part(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return SIGNATURE + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + part(
        b"IDAT", zlib.compress(b"".join(b"\0" + bytes(line) for line in lines))) + part(b"IEND", b"")
