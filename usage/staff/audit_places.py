"""Where the things are that the audit log tells of, for the links on its page."""

from collections.abc import Iterable

from django.urls import NoReverseMatch, reverse

from accounts.audit_log.filtering import Thing
from accounts.models import AuditEntry, User
from usage.models import EscalationState
from usage.subjects import key_subject_id

# Staff pages by model: the URL's name, and whether it takes the row's primary key.
PAGES = {
    "accounts.tier": ("tier", True),
    "accounts.endpointlimit": ("endpoint_limit", True),
    "usage.escalationpolicy": ("ladder", False),
    "usage.escalationstep": ("ladder", False),
}
KEY, PLACE = "accounts.apikey", "usage.escalationstate"


def places_of(entries: Iterable[AuditEntry], reader: User) -> dict[Thing, str]:
    """The addresses of the things that have a page which this person may open; a query at most."""
    things = {Thing(entry.target_type, entry.target_id) for entry in entries}
    subjects = _subjects_of({thing for thing in things if thing.type == PLACE})
    found = {}
    for thing in things:
        subject = key_subject_id_of(thing) or subjects.get(thing)
        if url := _page_of(thing, subject, reader) or _record_of(thing, reader):
            found[thing] = url
    return found


def key_subject_id_of(thing: Thing) -> str | None:
    return key_subject_id(int(thing.id)) if thing.type == KEY and thing.id.isdecimal() else None


def _subjects_of(places: set[Thing]) -> dict[Thing, str]:
    """Whom places on the ladder are of."""
    if not places:
        return {}
    ids = [place.id for place in places if place.id.isdecimal()]
    rows = EscalationState.objects.filter(pk__in=ids).values_list("pk", "subject")
    return {Thing(PLACE, str(pk)): subject for pk, subject in rows}


def _page_of(thing: Thing, subject: str | None, reader: User) -> str | None:
    if subject is not None:
        return _reversed("subject", subject) if reader.has_perm("accounts.view_apikey") else None
    name, takes_pk = PAGES.get(thing.type, ("", False))
    return _reversed(name, *([thing.id] if takes_pk else [])) if name else None


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
