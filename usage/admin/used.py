"""What was used and what was refused."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.text import Truncator

from usage.admin.subjects import SubjectAdmin
from usage.models import RateHit, UsageDay, UsageHour
from usage.models.usage import COUNTS


@admin.register(RateHit)
class RateHitAdmin(SubjectAdmin[RateHit]):
    list_display = ("minute", "whose", "count", "kind", "route", "sample")
    list_filter = ("kind", "route")
    search_fields = ["subject", "address"]
    search_help_text = "A key's start or name, its owner's address, an IP address, or ip:NETWORK."
    date_hierarchy = "minute"

    @admin.display(description="one of them came from", ordering="address")
    def sample(self, hit: RateHit) -> str:
        return format_html("{}<br>{}", hit.address, Truncator(hit.user_agent).chars(60))


@admin.register(UsageHour)
class UsageHourAdmin(SubjectAdmin[UsageHour]):
    list_display = ("start", "whose", *COUNTS)
    date_hierarchy = "start"


@admin.register(UsageDay)
class UsageDayAdmin(SubjectAdmin[UsageDay]):
    list_display = ("start", "whose", *COUNTS)
    date_hierarchy = "start"
