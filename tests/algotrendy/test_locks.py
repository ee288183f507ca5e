"""Named locks: one holder at a time on the whole desk."""

import pytest
from django.db import OperationalError, connections, transaction

from algotrendy import locks
from tests.support.locks import held_elsewhere, impatient
from tests.support.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


def tried_elsewhere(name: str) -> bool:
    """Whether another connection gets the lock."""

    def attempt() -> bool:
        with locks.try_session_lock(name) as mine:
            return mine

    return in_threads(attempt)[0]


def test_a_session_lock_has_one_holder_and_is_given_back() -> None:
    with locks.try_session_lock("test.one") as mine:
        assert mine
        assert not tried_elsewhere("test.one")
        assert tried_elsewhere("test.another")
    assert tried_elsewhere("test.one")


def test_a_session_lock_is_given_back_when_its_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), locks.try_session_lock("test.one"):
        raise ZeroDivisionError
    assert tried_elsewhere("test.one")


def test_who_did_not_get_a_session_lock_does_not_give_it_back() -> None:
    with held_elsewhere(lambda: locks.lock_in_transaction("test.one")):
        with locks.try_session_lock("test.one") as mine:
            assert not mine
        assert not tried_elsewhere("test.one")


def test_a_lock_in_a_transaction_waits_for_its_holder_and_ends_with_the_transaction() -> None:
    with (
        held_elsewhere(lambda: locks.lock_in_transaction("test.one")),
        impatient(),
        pytest.raises(OperationalError),
        transaction.atomic(),
    ):
        locks.lock_in_transaction("test.one")
    with transaction.atomic():
        locks.lock_in_transaction("test.one")
        assert not tried_elsewhere("test.one")
    assert tried_elsewhere("test.one")
    connections.close_all()
