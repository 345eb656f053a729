"""Networks as people type them."""

from ipaddress import ip_address

import pytest
from django.core.exceptions import ValidationError

from accounts.keys import allow_list


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", []),
        ("  \n , ", []),
        ("203.0.113.7", ["203.0.113.7"]),
        ("203.0.113.7/32", ["203.0.113.7"]),
        ("10.0.0.0/8\n192.168.0.0/255.255.0.0", ["10.0.0.0/8", "192.168.0.0/16"]),
        ("2001:DB8::/32, 10.0.0.0/8;10.0.0.0/8", ["10.0.0.0/8", "2001:db8::/32"]),
        ("2001:db8:0:0::1/128", ["2001:db8::1"]),
        ("::ffff:203.0.113.7", ["203.0.113.7"]),
        ("::ffff:203.0.113.0/120", ["203.0.113.0/24"]),
        ("0.0.0.0/0 ::/0", ["0.0.0.0/0", "::/0"]),
        ("10.10.0.0/16 9.0.0.0/8", ["9.0.0.0/8", "10.10.0.0/16"]),
    ],
)
def test_networks_are_stored_once_in_one_spelling_and_order(typed, stored):
    assert allow_list.parse(typed) == stored
    assert allow_list.parse("\n".join(stored)) == stored


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("10.0.0.1/8", "10.0.0.1/8: did you mean 10.0.0.0/8, or 10.0.0.1 alone?"),
        ("2001:db8::1/32", "2001:db8::1/32: did you mean 2001:db8::/32, or 2001:db8::1 alone?"),
        (
            "::ffff:10.0.0.1/104",
            "::ffff:10.0.0.1/104: did you mean 10.0.0.0/8, or 10.0.0.1 alone?",
        ),
        ("203.0.113.7:443", "203.0.113.7:443: did you mean 203.0.113.7?"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443: did you mean 2001:db8::1?"),
        ("[2001:db8::1]", "[2001:db8::1]: did you mean 2001:db8::1?"),
        ("fe80::1%eth0", "fe80::1%eth0: did you mean fe80::1?"),
    ],
)
def test_a_likely_mistake_is_named_with_what_was_meant(typed, said):
    with pytest.raises(ValidationError) as error:
        allow_list.parse(typed)
    assert error.value.messages == [said]


@pytest.mark.parametrize(
    "typed", ["10.0.0", "10.0.0.256", "10.0.0.0/33", "1", "example.com", "010.0.0.1", "10.0.0.*", "<script>"]
)
def test_what_is_no_network_is_named(typed):
    with pytest.raises(ValidationError) as error:
        allow_list.parse(f"192.168.0.0/16, {typed}")
    (message,) = error.value.messages
    assert message.startswith(f"{typed} is neither an address nor a network")


def test_of_many_mistakes_the_first_are_named_and_the_others_counted():
    with pytest.raises(ValidationError) as error:
        allow_list.parse("wrong " * 1000 + "x" * 5000)
    assert len(error.value.messages) == 6
    assert error.value.messages[-1] == "And 996 more."
    with pytest.raises(ValidationError) as error:
        allow_list.parse("x" * 5000)
    assert len(error.value.messages[0]) < 150


def test_fifty_networks_are_kept_and_no_more():
    fifty = [f"10.0.{n}.0/24" for n in range(50)]
    assert len(allow_list.parse("\n".join(fifty + fifty))) == 50
    with pytest.raises(ValidationError, match="At most 50 networks; these are 51"):
        allow_list.parse("\n".join([*fifty, "10.1.0.0/16"]))


def test_an_address_is_looked_for_in_all_of_them():
    networks = allow_list.parse("10.0.0.0/8 2001:db8::/32")
    assert allow_list.contains(networks, ip_address("10.1.2.3"))
    assert allow_list.contains(networks, ip_address("2001:db8::1"))
    assert not allow_list.contains(networks, ip_address("11.1.2.3"))
    assert allow_list.contains([], ip_address("11.1.2.3")), "an empty list is none"
