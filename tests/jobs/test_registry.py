import pytest

from kjxlkj.jobs import registry


def test_a_model_has_one_kind_only() -> None:
    with pytest.raises(ValueError, match=r"testapp\.errand is registered"):
        registry.register(registry.kind_of("testapp.errand"))
