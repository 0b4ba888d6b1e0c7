"""What a caller may change of a decode rule."""

import pytest

from segrt.runtime.decode.argmax import Argmax
from segrt.runtime.decode.merge_queries import MergeQueries
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BundleError

DETR = MergeQueries("detr", 0.85, compat=True)


def test_nothing_given_leaves_the_rule():
    assert RuleChanges().of(DETR, "bundle") is DETR


def test_thresholds_and_merges_are_replaced():
    changed = RuleChanges(score_threshold=0.3, overlap_threshold=0.0, merge_rule="eomt").of(MergeQueries(), "bundle")
    assert changed == MergeQueries("eomt", 0.3, 0.0)


@pytest.mark.parametrize(
    ("changes", "compat"),
    [
        (RuleChanges(merge_rule="detr"), True),
        (RuleChanges(merge_rule="detr", compat=False), False),
        (RuleChanges(compat=False), False),
        (RuleChanges(merge_rule="maskformer"), False),
    ],
)
def test_mistakes_of_the_authors_stay_with_their_merge(changes, compat):
    assert changes.of(DETR, "bundle").options["compat"] == compat


def test_compat_comes_with_the_merge_that_has_it():
    assert RuleChanges(merge_rule="detr", compat=True).of(MergeQueries(), "bundle") == MergeQueries("detr", compat=True)


@pytest.mark.parametrize(
    ("changes", "rule", "message"),
    [
        (RuleChanges(merge_rule="detr"), Argmax(), "bundle: the rule argmax has no merge_rule, but got detr; leave it"),
        (RuleChanges(compat=True), Argmax(), "bundle: the rule argmax has no compat, but got True; leave it out"),
        (
            RuleChanges(merge_rule="mine"),
            MergeQueries(),
            "merge_rule must be one of maskformer, mask2former, eomt, yoso, de",
        ),
        (RuleChanges(compat=True), MergeQueries(), "bundle: compat is for merge_rule detr, with maskformer two segme"),
        (RuleChanges(merge_rule="eomt", compat=True), DETR, "bundle: compat is for merge_rule detr, with eomt two"),
        (RuleChanges(overlap_threshold=-1), MergeQueries(), "overlap_threshold must be 0 to 1, but got -1"),
    ],
)
def test_what_cannot_be_changed_is_refused(changes, rule, message):
    with pytest.raises(BundleError) as refused:
        changes.of(rule, "bundle")
    assert str(refused.value).startswith(message)


def test_changes_for_several_bundles_reach_those_whose_rule_has_them():
    changes = RuleChanges(score_threshold=0.3, merge_rule="detr")
    assert changes.fitting(Argmax()) == RuleChanges()
    assert changes.fitting(DETR) == changes
