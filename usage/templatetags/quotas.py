"""What the usage page calls limits and refusals."""

from django import template

from accounts.templatetags.moments import countdown, moment

register = template.Library()
register.filter(moment)
register.filter(countdown)

TITLES = {
    "day": "Requests today",
    "minute": "This minute",
    "concurrent": "In flight now",
    "parallel": "Jobs running",
    "queued": "Jobs queued",
}
# What is said of a quota that is full, and of one that is nearly; of the others, that they are used up.
FULL = {"parallel": "All running", "queued": "Full"}
NEAR = {"parallel": "Almost all running", "queued": "Almost full"}
# When one use is given back, where not all of them are at one time.
ROLLING = {
    "concurrent": "free again as requests end",
    "parallel": "free again as jobs end",
    "queued": "free again as jobs start",
}
# What refused a request: of `usage.limits.outcomes.HITS`, and the endpoint limits.
REFUSED_BY = {
    "minute": "Minute limit",
    "day": "Day limit",
    "concurrent": "Concurrency limit",
    "cooldown": "Cooldown",
    "blocked": "Block",
    "suspended": "Suspension",
    "unavailable": "Limits unavailable",
    "ip_not_allowed": "Not on the allow-list",
    "queued": "Queue limit",
    "saturated": "Worker pool",
    "entitlements": "Entitlements limit",
    "contact": "Contact form limit",
    "login": "Sign-in limit",
    "password_reset": "Password reset limit",
    "oidc_authorize": "Other services' sign-in limit",
    "key_validation": "Key validation limit",
    "download": "Download limit",
}
UNITS = {
    "day": "requests per UTC day",
    "minute": "requests per minute",
    "concurrent": "requests at the same time",
    "parallel": "jobs at the same time",
    "queued": "jobs that wait",
}
# For the head of a column.
SHORT = {
    "minute": "Minute",
    "day": "Day",
    "concurrent": "In flight",
    "parallel": "Jobs running",
    "queued": "Jobs queued",
}
# How a number is counted, for whoever asks why.
RULES = {
    "day": "A day begins at midnight UTC, and then all of it is back. A refused request uses up none.",
    "minute": "A minute begins on the clock, and then all of it is back. A refused request uses up none.",
    "concurrent": "A place is free the moment a request has been answered.",
    "parallel": "Counted for the account, over all of its keys. A place is free the moment a job ends.",
    "queued": "Counted for the account, over all of its keys. A place is free the moment a job starts.",
}
ICONS = {
    "day": "calendar-stats",
    "minute": "clock",
    "concurrent": "arrows-exchange",
    "parallel": "player-play",
    "queued": "stack-2",
}
HAPPENINGS = {
    "cooldown": "clock",
    "block": "ban",
    "suspension": "lock",
    "ease": "leaf",
    "reactivation": "circle-check",
}
OTHER_ICON = "activity"


@register.filter
def quota_title(kind: str) -> str:
    return TITLES.get(kind, kind)


@register.filter
def limit_name(kind: str) -> str:
    return REFUSED_BY.get(kind, kind)


@register.filter
def quota_unit(kind: str) -> str:
    return UNITS.get(kind, "")


@register.filter
def quota_short(kind: str) -> str:
    return SHORT.get(kind, kind)


@register.filter
def quota_rule(kind: str) -> str:
    return RULES.get(kind, "")


@register.filter
def quota_full(kind: str) -> str:
    return FULL.get(kind, "Used up")


@register.filter
def quota_near(kind: str) -> str:
    return NEAR.get(kind, "Almost used up")


@register.filter
def quota_rolling(kind: str) -> str:
    return ROLLING.get(kind, "")


@register.filter
def quota_icon(kind: str) -> str:
    return ICONS.get(kind, OTHER_ICON)


@register.filter
def happening_icon(kind: str) -> str:
    return HAPPENINGS.get(kind, OTHER_ICON)
