"""One Idempotency-Key, one Checkout Session, however often, by whom, or at how many places at once it is used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from donations.models import Donation
from payments.models import Payment
from tests.live import Live, a_campaign

PATH = "/api/donations/create-checkout-session/"


def sessions(live: Live) -> list[Any]:
    return live.sandbox.objects("checkout.session")


def test_same_key_and_body_give_the_same_answer_and_one_session(live: Live) -> None:
    campaign = a_campaign()
    first = live.give(key="a", campaign_id=campaign)
    assert live.give(key="a", campaign_id=campaign) == first
    assert (len(sessions(live)), Payment.objects.count(), Donation.objects.count()) == (1, 1, 1)
    live.pay(first)
    assert live.give(key="a", campaign_id=campaign) == first
    assert live.total(campaign)[1] == 1


def test_same_body_written_otherwise_is_the_same_request(live: Live) -> None:
    first = live.give(key="a", amount=25, anonymous=False, message="hello")
    again = live.ask(
        "POST",
        PATH,
        data=b'{"message" : "hello",\n"anonymous":false, "amount":25}',
        headers={"Idempotency-Key": "a", "Content-Type": "application/json"},
    )
    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize("change", [{"amount": 26}, {"email": "eve@example.org"}, {"anonymous": True}, {"message": "x"}])
def test_same_key_with_another_body_is_refused(live: Live, change: dict[str, Any]) -> None:
    live.give(key="a")
    refused = live.give(422, key="a", **change)
    assert (refused["success"], refused["code"]) == (False, "idempotency_key_reused")
    assert (len(sessions(live)), Payment.objects.count()) == (1, 1)


def test_other_keys_and_no_keys_are_other_gifts(live: Live) -> None:
    started = [live.give(key="a"), live.give(key="b"), live.give(), live.give()]
    assert len({one["session_id"] for one in started}) == 4
    assert Payment.objects.count() == 4


def test_key_of_one_person_says_nothing_to_another(live: Live) -> None:
    ada, eve = live.register("ada@example.org"), live.register("eve@example.org")
    started = [live.give(key="a", token=token) for token in (ada, eve, "")]
    assert len({one["session_id"] for one in started}) == 3


def test_refused_request_leaves_the_key_free(live: Live) -> None:
    campaign = a_campaign()
    live.give(400, key="a", campaign_id=campaign, amount="0.01")
    live.give(key="a", campaign_id=campaign)
    assert len(sessions(live)) == 1


@pytest.mark.parametrize("key", ["k" * 256, "sch\xf6n", "a\tb"])
def test_key_that_is_too_long_or_not_plain_is_refused(live: Live, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = live.ask("POST", PATH, json={"amount": 25}, headers=headers)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["Idempotency-Key"])
    assert sessions(live) == []


def test_key_of_255_characters_serves(live: Live) -> None:
    assert live.give(key="k" * 255) == live.give(key="k" * 255)


def test_several_at_once_under_one_key_make_one_session(live: Live) -> None:
    campaign = a_campaign()
    live.give(campaign_id=campaign)  # whatever is made on first need is there

    def ask(_: int) -> tuple[int, Any]:
        answer = requests.post(
            live.url + PATH, json={"amount": 25, "campaign_id": campaign}, headers={"Idempotency-Key": "a"}, timeout=30
        )
        return answer.status_code, answer.json()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert [status for status, _ in answers] == [200] * 6
    assert len({answer["session_id"] for _, answer in answers}) == 1
    assert len({answer["donation_id"] for _, answer in answers}) == 1
    assert (len(sessions(live)), Payment.objects.count(), Donation.objects.count()) == (2, 2, 2)


def test_first_gifts_to_the_general_fund_at_once_make_one_fund(live: Live) -> None:
    def ask(number: int) -> int:
        return requests.post(live.url + PATH, json={"amount": 5 + number}, timeout=30).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [200] * 4
    assert Donation.objects.values("campaign").distinct().count() == 1
