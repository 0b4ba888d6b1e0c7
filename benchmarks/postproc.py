"""Measures the post-processing against its named peers and writes benchmarks/postproc.md and benchmarks/postproc.png.

Ours and the peers run in turn in one process, so that a busy machine slows all of them; times are medians of process
CPU time, since wall time on a shared machine says little. `pip install '.[bench]'` brings the peers; without torch
only OpenCV's remain; postproc_peers.py tells how the rest are installed. The plot needs matplotlib. A full run adds
a row to history.jsonl and says what moved since the last one of the same machine.

    python benchmarks/postproc.py [--repeats N] [--only NAME] [--sizes HxW,HxW] [--out FILE]
"""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postproc_history
import postproc_instances
import postproc_maps
import postproc_panoptic
import postproc_report
from postproc_case import PEER_SIZES, ULTRA_HD, Case, copy_bandwidth, measure
from postproc_report import Row

from segrt.runtime import _postproc

GROUPS = (
    postproc_panoptic.merge_queries,
    postproc_maps.argmax_map,
    postproc_maps.binary_map,
    postproc_panoptic.merge_semantic_instances,
    postproc_panoptic.group_centers,
    postproc_instances.paste_masks,
    postproc_instances.prototype_masks_rle,
    postproc_maps.resize_normalize,
    postproc_maps.resize_antialias,
    postproc_maps.query_semantic,
    postproc_instances.query_instances_rle,
    postproc_instances.matrix_nms,
    postproc_instances.decode_yolo,
)


def torch_or_none() -> Any:
    """Import torch on one thread; None where it is missing."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def run(case: Case, repeats: int, bandwidth: float) -> Row:
    """Measure one case on one thread, on two, with the AVX2 kernels where they are not the best, and its peers."""

    def with_avx2() -> None:
        _postproc.choose_kernels("avx2")
        case.ours(1)
        _postproc.choose_kernels("auto")

    functions: dict[str, Callable[[], Any]] = {"one": lambda: case.ours(1), "two": lambda: case.ours(2)}
    if _postproc.kernels_name() == "avx512":
        functions["avx2"] = with_avx2
    functions |= {peer.name: peer.call for peer in case.peers}
    times = measure(functions, repeats)
    return Row(case, times, bound=case.traffic / bandwidth / 1e6)


def main() -> None:
    """Measure, print and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", default="", help="functions whose name contains this; writes nothing")
    parser.add_argument("--sizes", default="", help="such as 1080x1920,2160x3840; writes nothing")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("postproc.md"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import cv2

    cv2.setNumThreads(1)
    torch = torch_or_none()
    bandwidth = copy_bandwidth()
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes.split(",") if size] or [*PEER_SIZES, ULTRA_HD]
    rows: list[Row] = []
    print(postproc_report.HEADER)
    for group in GROUPS:
        if options.only in group.__name__:
            for size in sizes:
                for case in group(size, torch):
                    rows.append(run(case, options.repeats, bandwidth))
                    print("\n".join(rows[-1].lines()), flush=True)
    if not options.only and not options.sizes:
        options.out.write_text(postproc_report.results(rows, bandwidth, torch))
        postproc_report.plot(rows, options.out.with_name("postproc.png"))
        machine = postproc_history.machine_name(postproc_report.processor_name(), _postproc.kernels_name())
        medians = {
            f"{row.case.function}, {row.case.detail}, {row.case.size[0]}x{row.case.size[1]}": row.ours for row in rows
        }
        print(postproc_history.report(postproc_history.HISTORY, postproc_history.this_run(machine, medians)))


if __name__ == "__main__":
    main()
