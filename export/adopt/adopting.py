"""Turns an ONNX file of any origin into a bundle: reads what it says, guesses the rest, notes every guess."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from segrt.export.adopt.adopt_options import AdoptOptions, check_precision, check_rule, completed
from segrt.export.adopt.binary_heads import as_binary, describe_cut, object_labels, scores_of
from segrt.export.adopt.box_form import check_boxes
from segrt.export.adopt.class_channels import check_exclusive
from segrt.export.adopt.class_names import class_count, first_labels, fitting_labels
from segrt.export.adopt.conventions.convention import LETTERBOX, YOLACT, Convention, Normalisation
from segrt.export.adopt.conventions.exporters import read_convention
from segrt.export.adopt.decode_rule import decode_rule
from segrt.export.adopt.dequantize import dequantize, is_asymmetric
from segrt.export.adopt.float_variant import compare_with_original
from segrt.export.adopt.guessing import Output, guess_heads, rows_of
from segrt.export.adopt.head_types import cast_outputs
from segrt.export.adopt.heads import in_standard_layout, measured_outputs, rewrite_outputs, run_on
from segrt.export.adopt.inputs import normalised, picture_input
from segrt.export.adopt.map_shape import ROLES, check_shape
from segrt.export.adopt.meanings import (
    as_probabilities,
    in_columns,
    is_torchvision,
    other_maps,
    without_logarithms,
)
from segrt.export.adopt.processor_check import compare_with_processor
from segrt.export.adopt.signs import Runs, activation, first_class, masks_in
from segrt.export.adopt.value_forms import check_values
from segrt.export.bundling import GoldenPicture, Network, VariantFile, write_bundle
from segrt.export.golden_pictures import golden_pictures, prove_little, trial_pictures
from segrt.export.graph.checks import refused_nodes
from segrt.export.graph.editing import Graph, read_graph, require_onnx
from segrt.runtime.bundle.locating import read_bundle
from segrt.runtime.bundle.manifest import Source
from segrt.runtime.bundle.names import new_name
from segrt.runtime.decode.binary import Binary
from segrt.runtime.decode.head_spec import HeadSpec
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.inference.tensors import TensorSpec
from segrt.runtime.preprocess.channels import Raster
from segrt.runtime.preprocess.input_spec import InputSpec
from segrt.runtime.results.technique import Technique


def adopt_network(path: Path, out: Path, options: AdoptOptions) -> list[str]:
    """Write the bundle `out` of the ONNX file at `path`; return a line for everything that was guessed.

    Raises SegrtError (of the fitting kind) when something is wrong or not to be guessed.
    """
    require_onnx()
    name = new_name(options.name, out)
    check_precision(options)
    adoption = _Adoption(read_graph(path), options)
    pictures = golden_pictures(options.golden, adoption.inputs)
    with tempfile.TemporaryDirectory(prefix="segrt-adopt-") as folder:
        file = Path(folder) / "network.onnx"
        network = adoption.describe(name, adoption.find_heads(file, trial_pictures(options.golden, adoption.inputs)))
        variants, golden = adoption.variants(network, file, [GoldenPicture(*picture) for picture in pictures])
        try:
            write_bundle(out, network, variants, golden, overwrite=options.overwrite)
        except (BundleError, BackendError) as error:
            raise type(error)(str(error).replace(str(file), str(path))) from None
    if len(network.labels) > 1 and prove_little(read_bundle(out)):
        adoption.notes.append(
            "warning: every golden result is empty or of one class, which proves little; add --golden PICTURE, with "
            "typical ones"
        )
    return adoption.notes


@dataclass(frozen=True)
class _FoundHeads:
    """The decode rule that takes the network's heads, the outputs by role, and the family that they show, if any."""

    rule: str
    outputs: Mapping[str, Output]
    family: str | None

    @property
    def specs(self) -> tuple[HeadSpec, ...]:
        """The heads as the manifest has them."""
        return tuple(
            HeadSpec(output.spec.name, role, cast("Any", output.spec.dtype), output.spec.shape)
            for role, output in self.outputs.items()
        )


class _Adoption:
    """One file on its way to a bundle: what the user and the file say of it, and the notes on what was guessed."""

    def __init__(self, graph: Graph, options: AdoptOptions) -> None:
        """Read what the file says of itself; raise SegrtError when inputs, technique or classes stay unknown."""
        self.notes: list[str] = []
        self._graph = graph
        self._given = options
        self._convention = read_convention(graph)
        self._options = completed(options, self._convention)
        self._technique = cast("Technique", self._options.technique)
        self._labels = first_labels(options.labels, self._convention.names, self._technique, self.notes)
        self._declared = graph.outputs
        self._inputs = picture_input(graph, self._options, self.notes, self._convention.size)
        self._trial_inputs = normalised(self._inputs, self._options, self._convention, [])
        self.notes += self._convention.notes

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The inputs, the picture first."""
        return self._inputs

    @property
    def _precision(self) -> str:
        return self._options.precision or self._graph.precision

    def find_heads(self, file: Path, pictures: Sequence[Raster]) -> _FoundHeads:
        """Run the network on `pictures` (by way of `file`) and tell its heads apart; mend those of another form."""
        declared = self._declared
        runs = run_on(file, self._graph, self._trial_inputs, pictures)
        rewritten = rewrite_outputs(self._graph, self._inputs, runs[0])
        if rewritten is not None:
            self.notes.append(rewritten)
            self._options = replace(self._options, rows=self._options.rows or "yolo")
        stated = {name: role for role, name in self._options.heads.items()}
        casts = cast_outputs(self._graph, runs, self._technique, len(self._labels), stated)
        self.notes += casts.notes
        if rewritten is not None or casts.renamed:
            known = {casts.renamed.get(spec.name, spec.name): spec.shape for spec in declared}
            declared = tuple(
                TensorSpec(spec.name, spec.dtype, known.get(spec.name, spec.shape)) for spec in self._graph.outputs
            )
            runs = run_on(file, self._graph, self._trial_inputs, pictures)
            named = {role: casts.renamed.get(name, name) for role, name in self._options.heads.items()}
            self._options = replace(self._options, heads=named)
        outputs = measured_outputs(declared, runs[0])
        count, given = len(self._labels), self._options.heads
        guessed = guess_heads(outputs, self._technique, count, given)
        rule, by_role = as_binary(*guessed, count, given, self._graph, runs)
        check_rule(self._given, rule)
        if rule == "argmax":
            logits = by_role["semantic_logits"]
            self.notes += check_exclusive(
                self._graph, logits, runs, self._labels, casts.old(logits.spec.name), stated="semantic_logits" in given
            )
        rows = self._options.rows
        if rule == "prototype_masks" and rows is None:
            rows = rows_of(by_role["predictions"], by_role["prototypes"], count)
        check_values(by_role, runs, (rows or "yolo", count), given.keys(), casts.old)
        if rule == "paste_masks" and "boxes" not in given:
            check_boxes(by_role, runs, self._inputs[0].size, casts.old(by_role["boxes"].spec.name))
        others = other_maps(outputs, by_role)
        family, heads = self._meanings(rule, by_role, runs)
        self.notes += others
        standard = {
            role: in_standard_layout(self._graph, role, output, len(self._labels), self.notes)
            for role, output in heads.items()
        }
        for role in set(ROLES) & standard.keys() - given.keys():
            check_shape(role, standard[role], self._inputs[0].size, casts.old(by_role[role].spec.name))
        return _FoundHeads(rule, standard, "YOLACT" if rewritten is not None and rule == "prototype_masks" else family)

    def _meanings(self, rule: str, heads: Mapping[str, Output], runs: Runs) -> tuple[str | None, Mapping[str, Output]]:
        """Settle what the heads' values mean, for the rules that leave it open: return the family, and the heads.

        What was found goes to the options, where the user's own come first.
        """
        options = self._options
        if rule == "query_instances":
            meaning = options.activation or self._convention.activation or activation(heads, runs, len(self._labels))
            self._options = replace(options, activation=meaning)
            return None, in_columns(self._graph, heads, meaning, len(self._labels), self.notes)
        if rule == "binary":
            found = scores_of(heads["object_scores"], runs, self._graph, options.scores)
            scores, heads = without_logarithms(self._graph, heads, found, self.notes)
            self._options = replace(options, scores=scores)
        if rule != "paste_masks":
            return None, heads
        said = self._convention.whole_masks
        where = options.masks or masks_in(heads, runs, self._inputs[0].size, said)
        family = "torchvision" if where == "picture" and is_torchvision(heads) else None
        first = options.first_class
        if first is None:
            first = first_class(heads, runs, len(self._labels), family is not None)
            if first:
                self.notes.append(f"class ids counted from {first}: 0 is the background; --first-class changes it")
        threshold = self._convention.mask_threshold if options.mask_threshold is None else options.mask_threshold
        self._options = replace(options, masks=where, first_class=first, mask_threshold=threshold)
        return family, as_probabilities(self._graph, heads, runs, self.notes)

    def describe(self, name: str, heads: _FoundHeads) -> Network:
        """Return what the manifest says of the network."""
        options, notes, specs = self._options, self.notes, heads.specs
        notes += [f"head {head.name!r} {head.dtype} {list(head.shape)} is {head.role}" for head in specs]
        sigmoid = heads.rule == "query_instances" and options.activation == "sigmoid"
        classes = class_count(self._graph, heads.rule, specs, sigmoid)
        if heads.rule == "binary" or (heads.rule == "class_map" and len(self._labels) == 1 and classes in (None, 2)):
            labels = object_labels(self._labels, notes)
        else:
            labels = fitting_labels(self._labels, classes, options.labels, options.ids, notes)
        decode = decode_rule(heads.rule, heads.outputs, len(labels), options, notes)
        if isinstance(decode, Binary):
            notes.append(describe_cut(decode, labels))
        inputs = normalised(self._inputs, options, _convention_of(heads, self._convention), notes)
        colors = inputs[0].takes_pictures and inputs[0].channels == 3
        if colors and self._convention.exporter == "optimum" and self._convention.is_read and not _feeds(self._given):
            notes.append(compare_with_processor(self._graph.path, inputs, trial_pictures(options.golden, self._inputs)))
        notes.append(f"precision {self._precision}, decode rule {heads.rule}")
        notes += _tensorrt_notes(self._graph, options)
        return Network(
            name=name,
            technique=self._technique,
            family=options.family,
            source=Source(options.weights or self._graph.path.name, options.licence, _versions(self._graph)),
            inputs=inputs,
            heads=specs,
            labels=labels,
            decode=decode,
        )

    def variants(
        self, network: Network, file: Path, golden: list[GoldenPicture]
    ) -> tuple[list[VariantFile], list[GoldenPicture]]:
        """Write the network to `file`; return the bundle's variants, and its golden frames with what is expected."""
        file.write_bytes(self._graph.bytes())
        variant = VariantFile(self._precision, file)
        if not self._options.dequantize:
            return [variant], golden
        float_file = file.with_name("float.onnx")
        float_file.write_bytes(dequantize(self._graph).bytes())
        float_variant, golden = compare_with_original(network, file, float_file, golden, self.notes)
        if not self._options.golden:
            self.notes.append(
                "  these pictures are synthetic; --golden PICTURE, with typical ones, gives a telling figure"
            )
        return [float_variant, variant], golden


def _convention_of(heads: _FoundHeads, convention: Convention) -> Convention:
    """Return the convention with the preprocessing of the family that the heads show, where the file says none."""
    if convention.normalisation is not None:
        return convention
    if heads.family == "YOLACT":
        return replace(convention, exporter="YOLACT", normalisation=YOLACT)
    if heads.family == "torchvision":
        return replace(convention, exporter="torchvision", normalisation=Normalisation())
    if heads.rule == "prototype_masks":
        return replace(convention, exporter="YOLO", normalisation=Normalisation(), resize=LETTERBOX)
    return convention


def _feeds(options: AdoptOptions) -> bool:
    """Whether the user says something of how pictures are fed."""
    return any(getattr(options, name) is not None for name in ("scale", "mean", "std", "color", "resize"))


def _tensorrt_notes(graph: Graph, options: AdoptOptions) -> list[str]:
    """Return what TensorRT would refuse of the network, which then runs in ONNX Runtime alone."""
    kinds = sorted({node.op_type for node, _ in refused_nodes(graph.model)})
    notes = [f"TensorRT has no kernel for {', '.join(kinds)}: the network runs in ONNX Runtime alone"] if kinds else []
    if is_asymmetric(graph) and not options.dequantize:
        notes.append("TensorRT takes symmetric int8 alone, and this is not; --dequantize adds a float variant for it")
    return notes


def _versions(graph: Graph) -> dict[str, str]:
    producer = graph.model.producer_name
    return {"opset": str(graph.opset)} | ({producer: graph.model.producer_version} if producer else {})
