"""The headers of answers, as the OpenAPI document tells them."""

from typing import Any

from usage.limits.draft import DRAFT

JSON = dict[str, Any]

_NUMBER = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}

# By their names: what is said, what they hold, an example.
_LIMITS = {
    "X-RateLimit-Limit": (
        "How many requests the minute's limit allows, or without one the day's; left out without both.",
        _NUMBER,
        30,
    ),
    "X-RateLimit-Remaining": (
        "How many more would be admitted in this window: never more than the day leaves, 0 while blocked.",
        _NUMBER,
        27,
    ),
    "X-RateLimit-Reset": (
        "The Unix time at which more is available: the end of the minute, of the day once that is spent, "
        "of the block while blocked.",
        _NUMBER,
        1_706_745_600,
    ),
    "RateLimit-Policy": (
        f"The limits in force, by {DRAFT}: `q` is how many, `w` in how many seconds.",
        _TEXT,
        '"minute";q=30;w=60, "day";q=1000;w=86400, "concurrent";q=5;qu="concurrent-requests"',
    ),
    "RateLimit": (
        f"Where each limit stands, by {DRAFT}: `r` is left, `t` is in how many seconds all of it is back. "
        "Left out while the counters can't be read.",
        _TEXT,
        '"minute";r=27;t=31, "day";r=812;t=20211, "concurrent";r=4',
    ),
}
REHEARSAL = "X-Koala-Rehearsal"
_OTHERS = {
    REHEARSAL: ("A rehearsal key asked: nothing was converted or charged.", {"const": "true"}, "true"),
    "Cache-Control": ("No answer may be kept by a cache.", {"const": "no-store"}, "no-store"),
    "Retry-After": (
        "Seconds to wait before the next try; earlier ones are refused as well.",
        {"type": "integer", "minimum": 1},
        12,
    ),
    "WWW-Authenticate": ("How a key is presented.", {"const": "Bearer"}, "Bearer"),
    "Location": (
        "Where to ask for the job; or where the file is.",
        _TEXT,
        "/api/v1/jobs/job_5pX2mVbQ8nRk3TzLw7YcJd",
    ),
    "Content-Disposition": (
        "A name to keep the file by.",
        {"type": "string", "pattern": "^attachment"},
        'attachment; filename="job_5pX2mVbQ8nRk3TzLw7YcJd.webp"',
    ),
    "Content-Length": ("The file's size in bytes.", _NUMBER, 91_234),
    "Content-Security-Policy": (
        "A browser may do nothing with the file but show it.",
        {"type": "string", "pattern": "^sandbox"},
        "sandbox; default-src 'none'",
    ),
    "X-Content-Type-Options": ("The content type is not to be guessed.", {"const": "nosniff"}, "nosniff"),
    "Accept-Ranges": ("Each request gets all of the file.", {"const": "none"}, "none"),
}
OF_FILES = (
    "Content-Disposition",
    "Content-Length",
    "Content-Security-Policy",
    "X-Content-Type-Options",
    "Accept-Ranges",
)
# May be left out: a key without limits has none to tell of, and an ordinary key rehearses nothing.
OPTIONAL = frozenset({*_LIMITS, REHEARSAL})


def components() -> JSON:
    """All of them, by their names."""
    return {
        name: {
            "description": description,
            "schema": schema,
            "example": example,
            "required": name not in OPTIONAL,
        }
        for name, (description, schema, example) in (_LIMITS | _OTHERS).items()
    }


def of_answer(*more: str) -> JSON:
    """Of one answer: the limits', which each has, and `more` by name."""
    return {
        name: {"$ref": f"#/components/headers/{name}"}
        for name in (*_LIMITS, "Cache-Control", REHEARSAL, *more)
    }
