"""What one box may take."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Limits:
    """`memory_bytes` is of address space, all of the box's process included; `max_pixels` bounds pixels times
    frames, of the input and of the output; `file_bytes` the result. `cpu_seconds` are those of its threads
    together."""

    memory_bytes: int
    max_pixels: int
    file_bytes: int
    seconds: int = 120
    cpu_seconds: int = 300

    @classmethod
    def within(cls, *, memory_bytes: int, max_pixels: int) -> Self:
        """With room for a result of four bytes a pixel as they are, and for 16 MiB around them."""
        return cls(memory_bytes, max_pixels, file_bytes=4 * max_pixels + 16 * 1024 * 1024)
