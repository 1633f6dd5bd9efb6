"""What a rule about a provider is told before it is saved."""

import pytest

from librarian.actions import LIBRARIAN_STRUCTURE

GOOD = {"provider_kind": "lmstudio", "model": "qwen3-8b"}


def faults_of(provider, **rest):
    faults = LIBRARIAN_STRUCTURE.faults({"kind": "librarian_structure", "provider": provider, **rest})
    return {fault.path.removeprefix("action_json."): fault.message for fault in faults}


def test_a_good_provider_has_none():
    assert faults_of(GOOD) == {}
    assert faults_of({**GOOD, "provider_kind": "openrouter"}) == {}
    assert faults_of({**GOOD, "base_url": "http://127.0.0.1:8080/v1", "max_tokens": 4096, "context_tokens": 8192}) == {}


def test_what_the_offline_librarian_does_not_heed_is_no_fault():
    settings = {"provider_kind": "offline", "base_url": "https://evil.example", "max_tokens": 10_000}
    assert faults_of({**settings, "context_tokens": 2000}, limits={"max_cost": 1}) == {}
    assert faults_of({}) == {}


@pytest.mark.parametrize("model", [None, "", "  "])
def test_a_model_has_to_be_named(model):
    provider = {name: value for name, value in {**GOOD, "model": model}.items() if value is not None}
    assert "Name a model" in faults_of(provider)["provider.model"]


def test_a_compatible_server_needs_its_address():
    assert "Give the address" in faults_of({"provider_kind": "openai_compatible", "model": "m"})["provider.base_url"]


def test_an_address_that_is_not_allowed_is_a_fault_of_the_address():
    assert "KJXLKJ_LLM_ALLOW" in faults_of({**GOOD, "base_url": "https://evil.example/v1"})["provider.base_url"]


def test_an_answer_has_to_leave_room_for_the_question():
    assert "context_tokens" in faults_of({**GOOD, "max_tokens": 16_384})["provider.max_tokens"]


@pytest.mark.parametrize("limit", ["max_cost", "max_cost_per_day"])
def test_a_bound_on_cost_needs_prices(limit):
    limits = {limit: 1.5}
    assert "provider.input_price and provider.output_price" in faults_of(GOOD, limits=limits)[f"limits.{limit}"]
    assert "Give provider.output_price," in faults_of({**GOOD, "input_price": 0}, limits=limits)[f"limits.{limit}"]
    assert faults_of({**GOOD, "input_price": 0, "output_price": 0}, limits=limits) == {}


def test_faults_of_form_come_first():
    assert list(faults_of({"provider_kind": "lmstudio", "model": 5})) == ["provider.model"]
