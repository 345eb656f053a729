"""What the audit log can be filtered by: who is in it, what was done, to which kinds of things."""

from django.db import connection

from accounts import audit
from accounts.models import AuditEntry, User

MOST_PEOPLE = 50
# Instead of a name: customers are too many for a list, and are found by searching.
CUSTOMERS = "customers"


def people() -> list[tuple[str, str]]:
    """Those to choose from, as they are called in the log, each with its words; one query."""
    staff = User.objects.filter(is_staff=True).order_by("email").values_list("email", flat=True)
    return [
        (audit.COMMAND_LINE, audit.COMMAND_LINE),
        (CUSTOMERS, "not staff"),
        *((email, email) for email in staff[:MOST_PEOPLE]),
    ]


def actions() -> list[str]:
    """Everything that was ever done, in the order of the alphabet; one query."""
    return _different("action")


def kinds() -> list[str]:
    """The models of what it was done to; one query."""
    return _different("target_type")


def _different(column: str) -> list[str]:
    """The different values of a column that an index begins with.

    From one to the next larger: some two dozen looks into the index, where DISTINCT reads all of it.
    """
    quote = connection.ops.quote_name
    table, name = quote(AuditEntry._meta.db_table), quote(column)
    sql = (
        f"WITH RECURSIVE found (value) AS (SELECT MIN({name}) FROM {table}"  # noqa: S608 (names of our own)
        f" UNION ALL SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.value)"
        " FROM found WHERE found.value IS NOT NULL)"
        " SELECT value FROM found WHERE value IS NOT NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [value for (value,) in cursor.fetchall()]
