"""Mail that is owed: written with its cause, sent by the worker, told once."""

import pytest
from django.db import transaction

from usage.models import Notice
from usage.notices import owe

pytestmark = pytest.mark.django_db


class TestOwing:
    def test_an_occasion_is_owed_once(self, issue):
        key, _ = issue()
        for served in (1, 2):
            owe(Notice.Kind.DAY_BLOCK, key, "day_block:1", {"served": served})
        assert Notice.objects.get().facts == {"served": 1}

    @pytest.mark.django_db(transaction=True)
    def test_it_is_owed_with_its_cause_or_not_at_all(self, issue):
        key, _ = issue()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            1 / 0  # noqa: B018
        assert not Notice.objects.exists()

    def test_owing_twice_leaves_the_callers_transaction_in_order(self, issue):
        key, _ = issue()
        with transaction.atomic():
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            owe(Notice.Kind.SUSPENSION, key, "suspension:1", {})
            key.name = "renamed"
            key.save()
        key.refresh_from_db()
        assert (key.name, Notice.objects.count()) == ("renamed", 1)

    def test_the_quotas_emails_can_be_switched_off_and_the_others_cant(self, issue, owner):
        owner.wants_quota_emails = False
        owner.save()
        key, _ = issue()
        for kind in Notice.Kind:
            owe(kind, key, f"{kind}:1", {})
        assert set(Notice.objects.values_list("kind", flat=True)) == {
            "day_block",
            "suspension",
            "reactivation",
        }
