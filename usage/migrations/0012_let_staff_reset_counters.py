"""A permission to reset live counters and release leases, for both roles; and what they read of the new tables.

Django makes permissions after all migrations, so this one makes those that it gives away, as `0008` does.
"""

from django.db import migrations

# Model, the permission's codename, and its words.
BOTH = [
    ("escalationstate", "reset_counters", "Can reset counters and release leases"),
    ("reactivationrequest", "view_reactivationrequest", "Can view reactivation request"),
    ("replay", "view_replay", "Can view replay"),
]
LIMITS = [("replay", "add_replay", "Can add replay")]


def seed(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for name, permissions in (("Support", BOTH), ("Limits", [*BOTH, *LIMITS])):
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*(_permission(apps, *one) for one in permissions))


def _permission(apps, model, codename, name):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="usage", model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("usage", "0011_replays")]
    operations = [
        migrations.AlterModelOptions(
            name="escalationstate",
            options={
                "ordering": ["-changed_at"],
                "permissions": [("reset_counters", "Can reset counters and release leases")],
            },
        ),
        # Going back leaves the groups: by then they have members.
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
