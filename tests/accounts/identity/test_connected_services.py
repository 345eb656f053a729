"""What a person sees of the services they gave access to, and how they take it back."""

from datetime import UTC, datetime, timedelta

import time_machine
from django.test import Client

from accounts.models import User
from tests.accounts.identity.conftest import register, used_by


def services_of(browser):
    return [service.client.name for service in browser.get("/account/services/").context["services"]]


def test_a_person_sees_the_services_that_have_access_and_what_they_learn(treehouse, ada):
    assert "No service is connected" in treehouse.browser.get("/account/services/").content.decode()
    treehouse.refresh(treehouse.tokens(scope="openid email")["refresh_token"])
    treehouse.tokens(scope="openid email")
    used_by(ada, *register("Magpie")).tokens(scope="openid")
    page = treehouse.browser.get("/account/services/")
    assert services_of(treehouse.browser) == ["Magpie", "Treehouse"]
    assert page.context["services"][1].learns[1:] == ["Your email address"]
    assert page.context["services"][0].learns[1:] == []


def test_whoever_disconnects_a_service_takes_back_all_it_had(treehouse, ada):
    tokens, again = treehouse.tokens(), treehouse.tokens()
    magpie = used_by(ada, *register("Magpie"))
    others = magpie.tokens()
    address = f"/account/services/{treehouse.service.pk}/disconnect/"
    page = treehouse.browser.post(address, follow=True)
    assert "Treehouse no longer has access" in page.content.decode()
    assert services_of(treehouse.browser) == ["Magpie"]
    for given in (tokens, again):
        assert treehouse.userinfo(given["access_token"]).status_code == 401
        assert treehouse.refresh(given["refresh_token"]).status_code == 400
    assert magpie.userinfo(others["access_token"]).status_code == 200
    assert treehouse.browser.post(address).status_code == 404


def test_nobody_disconnects_a_service_of_somebody_else(treehouse):
    tokens = treehouse.tokens()
    other = Client()
    other.force_login(User.objects.create_user("eve@example.com"))
    address = f"/account/services/{treehouse.service.pk}/disconnect/"
    assert other.post(address).status_code == 404
    assert services_of(other) == []
    assert treehouse.userinfo(tokens["access_token"]).status_code == 200


def test_disconnecting_takes_a_post_with_the_forms_own_token(treehouse, ada):
    treehouse.tokens()
    address = f"/account/services/{treehouse.service.pk}/disconnect/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(address).status_code == 403
    assert strict.get(address).status_code == 405
    assert Client().post(address).status_code == 302
    assert services_of(treehouse.browser) == ["Treehouse"]


def test_a_service_whose_access_ran_out_is_no_longer_connected(treehouse):
    treehouse.tokens()
    with time_machine.travel(datetime.now(UTC) + timedelta(days=31)):
        treehouse.browser.force_login(User.objects.get())
        assert services_of(treehouse.browser) == []
