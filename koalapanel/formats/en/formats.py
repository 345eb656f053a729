"""How times are written where a page says nothing of its own, as in Django's admin: sortable, zone named."""

DATETIME_FORMAT = "Y-m-d H:i e"
DATE_FORMAT = "Y-m-d"
