"""When each code is answered, and what its client should do then."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """Words between backticks are shown as code. `other_statuses` are those of special cases."""

    when: str
    what_to_do: str
    other_statuses: str = ""


WORDS: Mapping[str, Words] = {
    "rate_limited": Words(
        "A window is full, or as many requests as may be are in flight. `limit` says which: `minute`, `day`, "
        "`concurrent`, or the name of an endpoint limit. The refused request was charged to no window.",
        "Wait for `Retry-After`, then send it again, with some jitter so that your clients don't all come "
        "back in the same moment. If the wait is the rest of the day, tell people instead.",
    ),
    "cooldown": Words(
        "Tier 2 of the ladder: too many minutes with too many refusals. Requests that count are refused for "
        "a while, whatever the windows have left. Polling, entitlements, usage and downloads go on.",
        "Stop sending until `Retry-After` is over. Then find out why your client kept asking while it was "
        "refused: the page at `explain_url` shows the minutes.",
    ),
    "blocked": Words(
        "Tier 3 or 4 of the ladder: it went on after the cooldown. Polling, entitlements, usage and "
        "downloads still go on. Requests refused during a block never make it longer.",
        "Stop sending until `Retry-After` is over, and mend the client meanwhile: the next step is longer, "
        "and the last one is a suspension.",
    ),
    "queue.limit_exceeded": Words(
        "As many of your account's jobs wait as its tier allows. A batch that doesn't fit is refused whole, "
        "never half. It is never a strike.",
        "Wait until some of your jobs have ended, then send it again. `GET /api/v1/entitlements/me` says how "
        "many more jobs the queue takes.",
    ),
    "queue.pool_saturated": Words(
        "The queue of all accounts together is full. It is not your fault, and never a strike.",
        "Wait for `Retry-After`, then send it again.",
    ),
    "key_suspended": Words(
        "Tier 5 of the ladder, or staff suspended the key. Nothing but downloads that were already paid for "
        "goes on.",
        "Waiting doesn't help, so there is no `Retry-After`. Mend the client, then ask for the key's "
        "reactivation: a person decides.",
    ),
    "invalid_key": Words(
        "There is no such key, or what was sent can't be one.",
        "Don't send it again: compare the key with the one you were given. Each try counts against the limit "
        "`key_validation` of your address.",
    ),
    "key_expired": Words(
        "The key has ended, or it was rotated and this old secret of it has stopped.",
        "Use the new secret, or create a key. Sending it again doesn't help.",
    ),
    "key_revoked": Words(
        "Its owner revoked the key, for good.",
        "Use another key. Sending it again doesn't help.",
    ),
    "ip_not_allowed": Words(
        "The key has an allow-list, and your address isn't on it.",
        "Send from an address that is on it, or have the key's owner add yours.",
    ),
    "invalid_request": Words(
        "Something about the request is wrong: a field is missing or out of range, the file is no image, "
        "the path doesn't take this method. `field` says which part it is, where it is one.",
        "Mend the request. The same one is refused again.",
        "405 for a method that the path doesn't take, 409 for a job that has ended otherwise, 411 for a body "
        "without `Content-Length`, 413 for text fields that are too long, 422 for an image that can't be "
        "read.",
    ),
    "unsupported_format": Words(
        "The file is in a format that we don't read, or the output format is none that we write.",
        "`GET /api/v1/conversions` lists both.",
    ),
    "image_too_large": Words(
        "The file has too many bytes, or the image has too many pixels, times its frames.",
        "Make it smaller before you send it. `GET /api/v1/conversions` says how large it may be.",
    ),
    "not_found": Words(
        "Nothing is at this path, or you have no job with this id. A job answers to the account that sent "
        "it, or as a guest's to the address it came from, until a day after its end.",
        "Look at the path and the id, and send a key of the account that sent the job.",
    ),
    "token_exhausted": Words(
        "The download address has expired, or all of its downloads are used.",
        "Ask for the job again: while its result is kept, each answer has a fresh address. After that, "
        "convert the image again.",
    ),
    "limits_unavailable": Words(
        "Your limits can't be checked at the moment, or another part of ours is away. It is not your fault, "
        "and never a strike.",
        "Wait for `Retry-After`, then send it again.",
    ),
}
