"""Where each decode rule will run on a device, and why there."""

from typing import NamedTuple

from segrt.runtime.doctor import remedies
from segrt.runtime.doctor.facts import Facts
from segrt.runtime.doctor.feature import Feature

_NAME = "decoding on the GPU"


class RulePlace(NamedTuple):
    """A decode rule, "GPU" or "CPU", and why it will run there."""

    rule: str
    place: str
    why: str


def rule_places(facts: Facts) -> list[RulePlace]:
    """Return the place of every rule; with --decode auto, that is."""
    rules = facts.kernels.get("rules", {})
    nowhere = _why_no_heads_there(facts)
    return [
        RulePlace(rule, "CPU", str(nowhere or why)) if nowhere or why else RulePlace(rule, "GPU", "its kernels load")
        for rule, why in rules.items()
    ]


def decoding(facts: Facts) -> Feature:
    """Whether segrt's CUDA kernels run on the device; the CPU does what they don't."""
    if not facts.has_gpu:
        return Feature(_NAME, "off", "no NVIDIA GPU, the CPU decodes")
    if "rules" not in facts.kernels:
        return Feature(_NAME, "off", str(facts.kernels.get("error", "cannot be told")), remedies.reinstall(facts))
    rules = facts.kernels["rules"]
    good = [rule for rule, why in rules.items() if why is None]
    if good:
        nowhere = _why_no_heads_there(facts)
        if nowhere is not None:
            return Feature(_NAME, "off", f"the kernels load, but {nowhere}")
        others = (
            f"; the CPU decodes {', '.join(rule for rule in rules if rule not in good)}"
            if len(good) < len(rules)
            else ""
        )
        return Feature(
            _NAME, "works", f"{len(good)} of {len(rules)} rules on {facts.cuda.get('name', 'the GPU')}{others}"
        )
    reasons = dict.fromkeys(str(why) for why in rules.values())
    if not facts.kernels.get("built"):
        return Feature(_NAME, "off", "; ".join(reasons), remedies.kernels(facts))
    return Feature(_NAME, "off", "; ".join(reasons), () if "name" in facts.cuda else remedies.cuda_python(facts))


def _why_no_heads_there(facts: Facts) -> str | None:
    """Return why heads never lie on the GPU here: no backend executes networks there."""
    if not facts.has_gpu:
        return "there is no NVIDIA GPU"
    with_tensorrt = "name" in facts.cuda and any("version" in probe for probe in (facts.tensorrt, facts.tensorrt_rtx))
    if with_tensorrt or "CUDAExecutionProvider" in facts.onnxruntime.get("usable", ()):
        return None
    return "no backend executes networks on the GPU"
