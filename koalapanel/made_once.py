"""A secret that is made on first use and kept in a file, readable by its owner alone."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], str]) -> str:
    """What is kept at `path`; on first use that is what `make` gives."""
    if not path.exists():
        # With a database and uploads beside it, it is nobody else's business.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.stem}-{secrets.token_hex(4)}")
        made = make()
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
        # A link, not a rename: of two processes that start at once, one wins and both read the winner's.
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
