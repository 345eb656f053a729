"""What one box may take."""

import resource
import sys
from dataclasses import dataclass
from typing import Self

TOO_MUCH_MEMORY = "Processing this image takes more memory than a job may have."


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

    def are_near(self, memory: int) -> bool:
        """Whether a process that used so many bytes, and failed without saying why, lacked more of them.

        A guess, and needed: encoders fail with a number when they get no memory, or die. What they asked for
        in vain was never used, and a good deal of address space isn't either.
        """
        return memory > self.memory_bytes / 3


def most_memory(usage: resource.struct_rusage) -> int:
    """The most bytes that a process ever used, as the system tells it."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
