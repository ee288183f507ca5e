"""Who is refused at the pages of alerts, sources and settings, in a few quick requests (for `./mem mutants`)."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client, RequestFactory

from algotrendy import permissions
from algotrendy.permissions import ROLES, Role
from tests.dashboard.pages.test_access import ASKED_AGAIN, PAGES, addresses
from tests.support.pages import confirmed, person, signed_in

__all__ = ["addresses"]

pytestmark = pytest.mark.django_db


@pytest.fixture
def below() -> dict[Role, Client]:
    """For each role a browser of somebody who has the one below it, and has given the password again."""
    lower = {role: Role(role - 1) for role in ROLES}
    return {
        role: confirmed(signed_in(person(other.group if other else "", name=f"below {role.group}")))
        for role, other in lower.items()
    }


def test_nobody_looks_with_too_low_a_role(addresses: dict[str, str], below: dict[Role, Client]) -> None:
    looks = {name: role for name, (role, _, _) in PAGES.items() if role is not None}
    answers = {name: below[role].get(addresses[name]).status_code for name, role in looks.items()}
    assert answers == dict.fromkeys(looks, 403)


def test_nobody_acts_with_too_low_a_role(addresses: dict[str, str], below: dict[Role, Client]) -> None:
    acts = {name: role for name, (_, role, _) in PAGES.items() if role is not None}
    answers = {name: below[role].post(addresses[name]).status_code for name, role in acts.items()}
    assert answers == dict.fromkeys(acts, 403)


def test_secrets_and_limits_are_changed_only_after_the_password(addresses: dict[str, str]) -> None:
    browser = signed_in(person("admin"))
    answers = {name: browser.post(addresses[name]).headers.get("Location", "") for name in ASKED_AGAIN}
    assert [name for name in answers if not answers[name].startswith("/accounts/reauthenticate/")] == []


def test_a_stranger_is_sent_to_sign_in_and_a_script_is_told_so(addresses: dict[str, str]) -> None:
    stranger = Client()
    for name in ("source", "decision", "settings"):
        assert stranger.get(addresses[name])["Location"].startswith("/accounts/login/?next=/")
        assert stranger.get(addresses[name], headers={"HX-Request": "true"}).status_code == 401


def test_nobody_acts_in_the_name_of_a_stranger() -> None:
    request = RequestFactory().post("/")
    request.user = AnonymousUser()
    with pytest.raises(TypeError, match="nobody is signed in"):
        permissions.person(request)


def test_an_account_that_is_switched_off_has_no_role_and_a_superuser_every_one() -> None:
    former = person("admin", name="former")
    former.is_active = False
    assert permissions.role_of(former) == Role.NONE
    assert permissions.role_of(AnonymousUser()) == Role.NONE
    assert permissions.role_of(User.objects.create_superuser("root")) == Role.ADMIN


def test_the_admin_pages_refuse_a_trader_in_words() -> None:
    answer = signed_in(person("trader", is_staff=True)).get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "This is not for your role" in answer.content.decode()
