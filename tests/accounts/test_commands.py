from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts import api_keys
from accounts.models import ApiKey, Tier, User

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    """What a command prints on standard output and on standard error."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


class TestIssueKey:
    def test_the_key_stands_alone_on_standard_output(self):
        out, err = run("issue_key", "carla@example.com")

        assert out.endswith("\n")
        assert api_keys.is_well_formed(out.strip())
        assert "New account: carla@example.com" in err
        assert out.strip() not in err

    def test_the_key_works_and_is_on_the_free_tier(self):
        out, _ = run("issue_key", "carla@example.com")

        key = api_keys.find(out.strip())
        assert key is not None
        assert (key.tier.slug, key.owner.email) == ("free", "carla@example.com")
        assert key.overrides == {}

    def test_nobody_can_sign_in_to_an_account_made_for_a_key(self):
        run("issue_key", "carla@example.com")

        assert not User.objects.get(email="carla@example.com").has_usable_password()

    def test_an_account_that_exists_is_used_whatever_the_case_of_its_address(self):
        owner = User.objects.create_user("carla@example.com", "correct horse battery")

        _, err = run("issue_key", "Carla@Example.com", "--name", "prod")

        assert owner.api_keys.get().name == "prod"
        assert "New account" not in err

    def test_a_key_may_have_limits_of_its_own(self):
        out, _ = run(
            *("issue_key", "carla@example.com", "--tier", "pro"),
            *("--limit", "minute=7", "day=70", "--limit", "queued=5"),
        )

        key = api_keys.find(out.strip())
        assert key.tier.slug == "pro"
        assert key.overrides == {"minute": 7, "day": 70, "queued": 5}

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["--tier", "gold"], "Keys have no tier 'gold': it is one of free, pro."),
            (["--tier", "anonymous"], "Keys have no tier 'anonymous': it is one of free, pro."),
            (
                ["--limit", "hour=3"],
                "Unknown limit 'hour': it is one of minute, day, concurrent, parallel, queued.",
            ),
            (["--limit", "minute=0"], "minute=0 is no limit: write a whole number from 1 to 2147483647."),
            (
                ["--limit", "minute=none"],
                "minute=none is no limit: write a whole number from 1 to 2147483647.",
            ),
            (["--limit", "minute=1", "minute=2"], "minute is given twice."),
            (["--name", " "], "A key's name has 1 to 100 characters."),
        ],
    )
    def test_a_mistake_is_explained_in_one_line_and_makes_nothing(self, arguments, complaint):
        with pytest.raises(CommandError) as caught:
            run("issue_key", "carla@example.com", *arguments)

        assert str(caught.value) == complaint
        assert not ApiKey.objects.exists()
        assert not User.objects.exists()

    def test_an_account_needs_an_email_address(self):
        with pytest.raises(CommandError, match="'carla' is not an email address"):
            run("issue_key", "carla")


class TestSetTier:
    def test_the_named_limits_change_and_the_others_stay(self):
        out, _ = run("set_tier", "free", "minute=20", "day=none")

        assert out == "free: minute 30 → 20\nfree: day 1000 → none\n"
        assert Tier.objects.get(slug="free").limits == (20, None, 5, 3, 200)

    def test_the_revision_grows_so_that_processes_reload(self):
        before = Tier.objects.get(slug="free").revision

        run("set_tier", "free", "minute=20")

        assert Tier.objects.get(slug="free").revision > before

    def test_nothing_is_saved_when_nothing_changes(self):
        before = Tier.objects.get(slug="free").revision

        out, _ = run("set_tier", "free", "minute=30")

        assert out == "free: nothing to change\n"
        assert Tier.objects.get(slug="free").revision == before

    def test_a_dry_run_changes_nothing(self):
        out, _ = run("set_tier", "free", "minute=20", "--dry-run")

        assert out == "free: minute 30 → 20 (dry run)\n"
        assert Tier.objects.get(slug="free").minute == 30

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["gold", "minute=1"], "No tier 'gold': it is one of anonymous, free, pro."),
            (
                ["free", "second=1"],
                "Unknown limit 'second': it is one of minute, day, concurrent, parallel, queued.",
            ),
            (
                ["free", "minute=1", "day=-5"],
                "day=-5 is no limit: write a whole number from 1 to 2147483647, or none for no limit.",
            ),
            (
                ["free", "minute"],
                "minute= is no limit: write a whole number from 1 to 2147483647, or none for no limit.",
            ),
            (
                ["free", "minute=99999999999999999999"],
                "minute=99999999999999999999 is no limit: "
                "write a whole number from 1 to 2147483647, or none for no limit.",
            ),
        ],
    )
    def test_a_mistake_is_explained_in_one_line_and_changes_nothing(self, arguments, complaint):
        with pytest.raises(CommandError) as caught:
            run("set_tier", *arguments)

        assert str(caught.value) == complaint
        assert Tier.objects.get(slug="free").limits == (30, 1000, 5, 3, 200)
