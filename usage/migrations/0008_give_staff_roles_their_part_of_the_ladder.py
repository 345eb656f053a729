"""What Support and Limits may do to the ladder, its history and the mail about it.

Whether staff may suspend and reactivate is a permission on API keys now, one for both. Who had both of the
former two has it. Who had one of them has neither: nobody is given by a migration what a superuser withheld.
"""

from django.db import migrations

# Model, its name in a permission's words, and the permission's verb.
READ_BY_BOTH = [
    ("escalationpolicy", "escalation policy", "view"),
    ("escalationstep", "escalation step", "view"),
    ("escalationstate", "escalation state", "view"),
    ("escalationevent", "escalation event", "view"),
    ("ratehit", "rate hit", "view"),
    ("usagehour", "usage hour", "view"),
    ("usageday", "usage day", "view"),
]
SUPPORT = [
    *READ_BY_BOTH,
    ("notice", "notice", "view"),
    ("notice", "notice", "change"),  # has it tried again
]
LIMITS = [
    *READ_BY_BOTH,
    ("escalationpolicy", "escalation policy", "change"),
    ("escalationstep", "escalation step", "change"),
]
FORMER = ("suspend_key", "reactivate_key")


def seed(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for name, permissions in (("Support", SUPPORT), ("Limits", LIMITS)):
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(
            *(
                _permission(apps, "usage", model, f"{verb}_{model}", f"Can {verb} {words}")
                for model, words, verb in permissions
            )
        )


def replace_former_permissions(apps, schema_editor):
    Permission = apps.get_model("auth", "Permission")
    User = apps.get_model("accounts", "User")
    Group = apps.get_model("auth", "Group")
    former = list(Permission.objects.filter(content_type__app_label="usage", codename__in=FORMER))
    if not former:
        return
    one_for_both = _permission(
        apps, "accounts", "apikey", "suspend_apikey", "Can suspend and reactivate API keys"
    )
    for group in _holders(Group.objects.all(), "permissions", former):
        group.permissions.add(one_for_both)
    for user in _holders(User.objects.all(), "user_permissions", former):
        user.user_permissions.add(one_for_both)
    Permission.objects.filter(pk__in=[permission.pk for permission in former]).delete()


def _holders(who, permissions, all_of):
    for permission in all_of:
        who = who.filter(**{permissions: permission})
    return who if len(all_of) == len(FORMER) else who.none()


def _permission(apps, app, model, codename, name):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label=app, model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0007_mail_about_new_and_ending_keys"),
        ("accounts", "0008_give_staff_two_roles"),
    ]
    operations = [
        migrations.AlterModelOptions(name="escalationstate", options={"ordering": ["-changed_at"]}),
        # Going back leaves the groups: by then they have members.
        migrations.RunPython(seed, migrations.RunPython.noop),
        migrations.RunPython(replace_former_permissions, migrations.RunPython.noop),
    ]
