from django.db import migrations

# number, name, strikes that lead to it from the tier below, seconds of its block
STEPS = [
    (1, "Standard", None, None),
    (2, "Extended cooldown", 3, 300),
    (3, "Temporary block", 2, 3600),
    (4, "Day block", 2, 86400),
    (5, "Suspension", 2, None),
]

POLICY = {
    "strike_refusals": 5,
    "strike_percent": 20,
    "forgive_minutes": 10,
    "warned_minutes": 10,
    "decay_hours": 24,
    "grace_seconds": 60,
    "probation": 3,
    "guests_highest": 4,
    "revision": 1,
}


def seed(apps, schema_editor):
    apps.get_model("usage", "EscalationPolicy").objects.get_or_create(pk=1, defaults=POLICY)
    Step = apps.get_model("usage", "EscalationStep")
    for number, name, strikes, block_seconds in STEPS:
        Step.objects.get_or_create(
            number=number, defaults={"name": name, "strikes": strikes, "block_seconds": block_seconds}
        )


class Migration(migrations.Migration):
    dependencies = [("usage", "0002_ladder_books_and_notices")]
    # Going back leaves the rows: by then staff may have made them their own.
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
