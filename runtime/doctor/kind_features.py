"""The features that backends, sources and sinks declare themselves."""

from segrt.runtime.doctor import remedies
from segrt.runtime.doctor.facts import Facts
from segrt.runtime.doctor.feature import Feature
from segrt.runtime.stream.needs import Needs


def kind_features(facts: Facts) -> list[Feature]:
    """Return a feature for what kinds need, one for each error that keeps some from loading, and the added kinds."""
    if facts.kinds_error:
        return [Feature("backends, sources and sinks", "missing", facts.kinds_error, remedies.reinstall(facts))]
    features: dict[str, Feature] = {}
    broken: dict[str, list[str]] = {}
    for kind in facts.kinds:
        if kind.error:
            broken.setdefault(kind.error, []).append(kind.name)
        elif kind.needs:
            features[kind.needs.feature] = needing(facts, kind.needs)
        elif kind.added:
            features[kind.name] = Feature(kind.name, "works", kind.origin)
    return [
        *features.values(),
        *(Feature(", ".join(names), "missing", f"cannot be loaded: {error}") for error, names in broken.items()),
    ]


def needing(facts: Facts, needs: Needs) -> Feature:
    """Return the feature that works with the packages of `needs`, and is off without."""
    name = needs.feature
    missing = [package for package in needs.packages if not facts.packages.get(package)]
    if not missing:
        return Feature(name, "works", ", ".join(f"{package} {facts.packages[package]}" for package in needs.packages))
    remedy = remedies.extra(facts, needs.extra, name) if needs.extra else remedies.pip(facts, " ".join(missing), name)
    return Feature(name, "off", f"not installed: {', '.join(missing)}", remedy)
