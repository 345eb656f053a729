from django.db import migrations

# slug, name, description, minute, day, concurrent, parallel, queued
TIERS = [
    ("anonymous", "Guest", "Requests without a key, counted per IP address.", 10, 100, 2, 3, 100),
    ("free", "Free", "Every new API key.", 30, 1000, 5, 3, 200),
    ("pro", "Pro", "Keys that staff move here.", 120, 10000, 10, 6, 1000),
]


def seed(apps, schema_editor):
    Tier = apps.get_model("accounts", "Tier")
    for slug, name, description, minute, day, concurrent, parallel, queued in TIERS:
        Tier.objects.get_or_create(
            slug=slug,
            defaults={
                "name": name,
                "description": description,
                "minute": minute,
                "day": day,
                "concurrent": concurrent,
                "parallel": parallel,
                "queued": queued,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_users_tiers_and_api_keys")]
    # Going back leaves the rows: by then staff may have made them their own.
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
