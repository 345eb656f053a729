"""Where the things are that the audit log tells of, for the links on its page."""

from collections.abc import Iterable

from django.urls import NoReverseMatch, reverse

from accounts.audit_log.filtering import Thing
from accounts.models import AuditEntry, Tier, User
from usage.models import EscalationState
from usage.subjects import key_subject_id

KEY, PLACE, TIER = "accounts.apikey", "usage.escalationstate", "accounts.tier"
LADDER = ("usage.escalationpolicy", "usage.escalationstep")


def places_of(entries: Iterable[AuditEntry], reader: User) -> dict[Thing, str]:
    """The addresses of the things that have a page which this person may open; two queries at most."""
    named = {Thing(entry.target_type, entry.target_id): entry.target_label for entry in entries}
    subjects, slugs = _subjects_of(named), _slugs_of(named)
    found = {}
    for thing, name in named.items():
        if subject := key_subject_id_of(thing) or subjects.get(thing):
            page = _reversed("subject", subject) if reader.has_perm("accounts.view_apikey") else None
        elif slug := slugs.get(thing):
            page = _reversed("staff_tier", slug)
        elif thing.type == "accounts.endpointlimit":
            page = _reversed("staff_endpoint_limit", name)
        else:
            page = _reversed("staff_ladder") if thing.type in LADDER else None
        if url := page or _record_of(thing, reader):
            found[thing] = url
    return found


def key_subject_id_of(thing: Thing) -> str | None:
    return key_subject_id(int(thing.id)) if thing.type == KEY and thing.id.isdecimal() else None


def _subjects_of(things: Iterable[Thing]) -> dict[Thing, str]:
    """Of places on the ladder, whose they are."""
    if not (ids := _ids_of(PLACE, things)):
        return {}
    rows = EscalationState.objects.filter(pk__in=ids).values_list("pk", "subject")
    return {Thing(PLACE, str(pk)): subject for pk, subject in rows}


def _slugs_of(things: Iterable[Thing]) -> dict[Thing, str]:
    if not (ids := _ids_of(TIER, things)):
        return {}
    return {
        Thing(TIER, str(pk)): slug for pk, slug in Tier.objects.filter(pk__in=ids).values_list("pk", "slug")
    }


def _ids_of(type: str, things: Iterable[Thing]) -> list[str]:
    return [thing.id for thing in things if thing.type == type and thing.id.isdecimal()]


def _record_of(thing: Thing, reader: User) -> str | None:
    """Its page in Django's admin, for whoever may look at it there."""
    app, _, model = thing.type.partition(".")
    if not any(reader.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change")):
        return None
    return _reversed(f"admin:{app}_{model}_change", thing.id)


def _reversed(name: str, *arguments: str) -> str | None:
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return None
