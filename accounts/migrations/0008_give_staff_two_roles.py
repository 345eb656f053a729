"""The groups Support and Limits, with what each may do to accounts, keys, limits and letters.

Django makes permissions after all migrations, so this one makes those that it gives away, as Django would:
it finds them then and leaves them alone. `usage` adds its own permissions to both groups.
"""

from django.db import migrations

# App, model, its name in a permission's words, and the permission's verb.
SUPPORT = [
    ("accounts", "user", "user", "view"),
    ("accounts", "tier", "tier", "view"),
    ("accounts", "endpointlimit", "endpoint limit", "view"),
    ("accounts", "apikey", "API key", "view"),
    ("accounts", "contactmessage", "contact message", "view"),
    ("accounts", "contactmessage", "contact message", "change"),  # marks it answered
    ("accounts", "letter", "letter", "view"),
    ("accounts", "letter", "letter", "change"),  # has it tried again
    ("accounts", "auditentry", "audit entry", "view"),
]
LIMITS = [
    ("accounts", "user", "user", "view"),
    ("accounts", "tier", "tier", "view"),
    ("accounts", "tier", "tier", "add"),
    ("accounts", "tier", "tier", "change"),
    ("accounts", "endpointlimit", "endpoint limit", "view"),
    ("accounts", "endpointlimit", "endpoint limit", "change"),
    ("accounts", "apikey", "API key", "view"),
    ("accounts", "auditentry", "audit entry", "view"),
]
# Codenames of API keys that are no verb and model, with their words.
SUPPORT_ON_KEYS = [
    ("revoke_apikey", "Can revoke API keys"),
    ("suspend_apikey", "Can suspend and reactivate API keys"),
]
LIMITS_ON_KEYS = [("override_apikey", "Can give API keys a tier and limits of their own")]


def seed(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    for name, permissions, on_keys in (
        ("Support", SUPPORT, SUPPORT_ON_KEYS),
        ("Limits", LIMITS, LIMITS_ON_KEYS),
    ):
        group, _ = Group.objects.get_or_create(name=name)
        wanted = [
            (app, model, f"{verb}_{model}", f"Can {verb} {words}") for app, model, words, verb in permissions
        ]
        wanted += [("accounts", "apikey", codename, words) for codename, words in on_keys]
        group.permissions.add(*(_permission(apps, *one) for one in wanted))


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
        ("accounts", "0007_seed_the_endpoint_limits"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    # Going back leaves the groups: by then they have members.
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
