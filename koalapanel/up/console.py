"""What `manage.py up` says: its own lines, and its children's with their name in front."""

import os
import sys
from collections.abc import Sequence

NAME_WIDTH = 13


class Console:
    """Writes whole lines to standard output; a reader that goes away (`up | head`) stops nothing."""

    def __init__(self) -> None:
        self._unfinished: dict[str, bytes] = {}

    def say(self, line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def fact(self, name: str, text: str) -> None:
        """One line of the list of what was started."""
        self.say(f"{name:<{NAME_WIDTH}}{text}")

    def relay(self, name: str, output: bytes, unsaid: Sequence[str] = ()) -> None:
        """A child's output, which comes in chunks: full lines are shown, the rest waits for its end.

        Lines that contain one of `unsaid` are dropped.
        """
        *lines, rest = (self._unfinished.get(name, b"") + output).split(b"\n")
        self._unfinished[name] = rest
        for line in lines:
            if not any(text.encode() in line for text in unsaid):
                self._say_for(name, line)

    def finish(self, name: str) -> None:
        """The child is gone: show what it had begun to say."""
        rest = self._unfinished.pop(name, b"")
        if rest:
            self._say_for(name, rest)

    def _say_for(self, name: str, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self.say(f"{name:<{NAME_WIDTH}}| {text}")
