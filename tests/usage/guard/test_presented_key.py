import pytest

from usage.guard.presented_key import presented_key


@pytest.mark.parametrize(
    ("meta", "key"),
    [
        ({}, None),
        ({"HTTP_AUTHORIZATION": "Bearer abc"}, "abc"),
        ({"HTTP_AUTHORIZATION": "bearer   abc "}, "abc"),
        ({"HTTP_X_API_KEY": "abc"}, "abc"),
        ({"HTTP_X_FAST_API_KEY": " abc"}, "abc"),
        ({"HTTP_AUTHORIZATION": "Bearer abc", "HTTP_X_API_KEY": "other"}, "abc"),
        ({"HTTP_AUTHORIZATION": "Bearer"}, ""),
        ({"HTTP_AUTHORIZATION": ""}, ""),
        ({"HTTP_AUTHORIZATION": "Basic abc"}, ""),
        ({"HTTP_X_API_KEY": ""}, ""),
    ],
)
def test_a_header_that_is_there_is_never_taken_for_no_key(meta, key):
    assert presented_key(meta) == key
