"""How far a subject's books go: its bucket's watermark, by a query or within one that is made anyway."""

from django.db.models import Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from usage.models import BookedUntil
from usage.subjects import bucket_of


def booked_until(subject_id: str) -> int:
    """The last Unix minute that is in the books, 0 if none ever was; what is newer has the limit store."""
    marks = BookedUntil.objects.filter(bucket=bucket_of(subject_id)).values_list("minute", flat=True)
    return marks.first() or 0


def booked_until_in_sql(subject_id: str) -> Combinable:
    """The same, to annotate another query with."""
    marks = BookedUntil.objects.filter(bucket=bucket_of(subject_id))
    return Coalesce(Subquery(marks.values("minute")[:1]), 0)
