"""Changes of a rule come out of a request's parameters as they went in."""

import pytest

from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BundleError
from segrt.runtime.remote.rule_parameters import to_changes, to_parameters


@pytest.mark.parametrize(
    "changes",
    [
        RuleChanges(1 / 3, 0.0),
        RuleChanges(merge_rule="detr", compat=True),
        RuleChanges(0.1, compat=False),
    ],
)
def test_changes_survive_the_way(changes: RuleChanges) -> None:
    parameters = to_parameters(changes)
    assert all(isinstance(value, str) for value in parameters.values())
    assert to_changes({**parameters, "bundle": "0"}) == changes


def test_nothing_is_changed_by_nothing() -> None:
    assert to_parameters(RuleChanges()) == {}
    assert to_changes({"bundle": "0"}) is None


@pytest.mark.parametrize(("name", "value"), [("score_threshold", "high"), ("compat", "yes")])
def test_what_is_no_change_is_refused(name: str, value: str) -> None:
    with pytest.raises(BundleError, match=f"{name} must be"):
        to_changes({name: value})
