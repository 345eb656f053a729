import pytest

from koalapanel.charset import utf8_only


@pytest.mark.parametrize(
    ("claimed", "seen"),
    [
        ("multipart/form-data; boundary=x; charset=hex", "multipart/form-data; boundary=x"),
        ("multipart/form-data; charset=undefined; boundary=x", "multipart/form-data; boundary=x"),
        ('text/plain;CHARSET = "rot13"', "text/plain"),
        ("multipart/form-data; boundary=charset", "multipart/form-data; boundary=charset"),
        ("application/json", "application/json"),
        ("", ""),
    ],
)
def test_no_request_has_a_charset_of_its_own(claimed, seen):
    environs = []
    utf8_only(lambda environ, start_response: environs.append(environ) or [])(
        {"CONTENT_TYPE": claimed}, print
    )
    assert environs == [{"CONTENT_TYPE": seen}]


def test_a_request_without_a_type_stays_without_one():
    environs = []
    utf8_only(lambda environ, start_response: environs.append(environ) or [])({}, print)
    assert environs == [{}]
