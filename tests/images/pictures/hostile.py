"""Pictures made to do harm: small files that declare, or unpack to, much more than they are."""

import struct
import zlib
from io import BytesIO

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(picture, format, **options):
    file = BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *, before=b"", after=b"", rows=None):
    """One bit a pixel, all black, packed as small as it gets. Chunks go `before` and `after` the picture."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    parts = (png_chunk(b"IHDR", header), before, png_chunk(b"IDAT", packed), after, png_chunk(b"IEND", b""))
    return PNG_SIGNATURE + b"".join(parts)


def zeros(mebibytes):
    """So much of nothing, deflated: a thousandth of it."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(mebibytes)) + packer.flush()


def png_with_profile(mebibytes):
    return png(8, 8, before=png_chunk(b"iCCP", b"bomb\0\0" + zeros(mebibytes)))


def png_with_text(mebibytes, times, *, at_the_end=False):
    chunks = png_chunk(b"zTXt", b"bomb\0\0" + zeros(mebibytes)) * times
    return png(8, 8, after=chunks) if at_the_end else png(8, 8, before=chunks)


def gif(width, height):
    """A canvas of a few bytes."""
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return header + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0;"


def gif_of_frames(number, side=1):
    header = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0"
    return header + frame * number + b";"


def webp_on_a_canvas(width, height):
    """An animation whose canvas is declared to be of another size than its frames."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = bytearray(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100))
    place = content.index(b"VP8X") + 12
    content[place : place + 6] = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return bytes(content)


def webp_of_frames(number):
    """One frame's bytes again and again."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)
    first = content.index(b"ANMF")
    length = 8 + struct.unpack("<I", content[first + 4 : first + 8])[0]
    body = content[8:first] + content[first : first + length] * number
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_declared_size(content, width, height):
    """An AVIF or HEIC whose boxes of sizes (ispe) say something else than the picture."""
    changed, place = bytearray(content), content.find(b"ispe")
    while place >= 0:
        changed[place + 8 : place + 16] = struct.pack(">II", width, height)
        place = content.find(b"ispe", place + 1)
    return bytes(changed)


def tiff(width, height, *, pages=1, next_page=None, data=bytes(8)):
    """Pages that share their one strip; the last one's successor may be an earlier one."""
    content = bytearray(b"II*\0" + struct.pack("<I", 8 + len(data)) + data)
    for page in range(pages):
        tags = [
            (256, 4, width),
            (257, 4, height),
            (258, 3, 8),
            (259, 3, 8),
            (262, 3, 1),
            (273, 4, 8),
            (277, 3, 1),
            (278, 4, height),
            (279, 4, len(data)),
        ]
        here = len(content)
        following = here + 2 + 12 * len(tags) + 4
        if page == pages - 1:
            following = next_page or 0
        content += struct.pack("<H", len(tags))
        content += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        content += struct.pack("<I", following)
    return bytes(content)


def jpeg_of_scans(size, number):
    """A progressive JPEG whose last scan comes again and again: each time all of the picture is gone over."""
    content = saved(Image.new("RGB", size, "red"), "JPEG", progressive=True, quality=30)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * number + content[-2:]


def boxes_of(content, start=0, end=None):
    """Where the boxes of an AVIF or HEIC begin, those within others included."""
    place, end = start, len(content) if end is None else end
    while place + 8 <= end:
        length, name = struct.unpack(">I4s", content[place : place + 8])
        yield place
        if name in (b"meta", b"iprp", b"ipco", b"iinf", b"moov", b"trak"):
            yield from boxes_of(content, place + {b"meta": 12, b"iinf": 14}.get(name, 8), place + length)
        if length < 8:
            return
        place += length
