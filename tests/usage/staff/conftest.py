"""People in their roles are those of the tests of accounts."""

from tests.accounts.conftest import a_customer, a_key, a_limits_editor, a_superuser, a_supporter  # noqa: F401
