"""What the usage page calls limits and refusals."""

from django import template

from accounts.templatetags.moments import countdown, moment

register = template.Library()
register.filter(moment)
register.filter(countdown)

TITLES = {"day": "Requests today", "minute": "This minute", "concurrent": "In flight now"}
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
}
ICONS = {"day": "calendar-stats", "minute": "clock", "concurrent": "arrows-exchange"}
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
def quota_icon(kind: str) -> str:
    return ICONS.get(kind, OTHER_ICON)


@register.filter
def happening_icon(kind: str) -> str:
    return HAPPENINGS.get(kind, OTHER_ICON)
