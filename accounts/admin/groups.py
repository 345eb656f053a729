"""Groups in Django's admin: the roles of staff, and what each may do."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group

from accounts.admin.audited import AuditedAdmin
from accounts.admin.superusers_alone import ForSuperusersAlone

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ForSuperusersAlone[Group], AuditedAdmin[Group], DjangoGroupAdmin):
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
