"""How many cameras a device serves, on paper: recomputes the table of docs/scale.md, by the model stated there.

    python benchmarks/capacity.py [--fps F] [--gmacs G --nodes N] [--check docs/scale.md]

What was measured is in RESULTS.md and gpu.md (H100 and H200); devices are NVIDIA's published figures. With --gmacs and
--nodes the table is that of one network of yours. --check ends with 1 where the page shows another table.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

SHARE = 0.7  # of a resource that is used on average, so that queues stay short
USED = (0.15, 0.45)  # of the peak in float16 that convolutional networks and transformers reach at batch 1
LAUNCH_US = 4.0  # for each node of a small network on an H100, through ONNX Runtime
FUSED = 2.5  # nodes that TensorRT makes one of, at best
CPU_MS = 2.2  # of a stream's frame at 1080p that the GPU decodes, on the server of RESULTS.md
PROCESS_FPS = 600  # of one process there, which Python's lock bounds


@dataclass(frozen=True)
class Device:
    """Published figures: GB/s of the GPU's memory, dense TFLOP/s in float16, 1080p30 HEVC streams of its decoders.

    `cores` of the CPU, each `slower` times as slow as one of the server that was measured.
    """

    name: str
    bandwidth: float
    tflops: float
    decoded_streams: int
    cores: int
    slower: float


@dataclass(frozen=True)
class Network:
    """`gmacs` multiply-adds of a picture, `nodes` of its graph; `kernels` ms of segrt's own work on an H100."""

    name: str
    technique: str
    gmacs: float
    nodes: int
    kernels: float


# Data sheets: Jetson Orin NX 16 GB, AGX Orin 64 GB (a quarter of their sparse INT8 figures), L4, H100 SXM5, for whose
# seven decoders RESULTS.md has 420 to 650 frames a second each; the L4 has four of the same kind.
H100 = Device("H100", 3350, 989, 98, 16, 1.0)
DEVICES = (
    Device("Jetson Orin NX 16 GB", 102, 15, 18, 8, 2.0),
    Device("Jetson AGX Orin 64 GB", 205, 42, 22, 12, 2.0),
    Device("L4", 300, 121, 56, 16, 1.0),
    H100,
)
NETWORKS = (
    Network("street-panoptic", "panoptic", 0.82, 149, 0.084),
    Network("SegFormer-B0 512×512", "semantic", 8.39, 354, 0.145),
    Network("Mask R-CNN R50 800×1333", "instance", 267.39, 758, 0.10),
    Network("DETR-R101 800×1066", "panoptic", 248.76, 879, 0.09),
)


def gpu_ms(network: Network, device: Device) -> tuple[float, float]:
    """Return least and most milliseconds of the GPU for a frame."""
    kernels = network.kernels * H100.bandwidth / device.bandwidth
    launches = network.nodes * LAUNCH_US / 1000 * device.slower
    work = [2 * network.gmacs / (used * device.tflops) for used in reversed(USED)]
    return kernels + max(launches / FUSED, work[0]), kernels + launches + work[1]


def cameras(network: Network, device: Device, fps: float) -> dict[str, float]:
    """Return how many cameras each resource serves; the GPU's figure is that of the slowest estimate."""
    frames = SHARE * 1000 / fps
    return {
        "GPU": frames / gpu_ms(network, device)[1],
        "video decoder": device.decoded_streams * 30 / fps,
        "CPU": frames * device.cores / (CPU_MS * device.slower),
    }


def row(network: Network, device: Device, fps: float) -> str:
    """Return a line of the table: cameras, what is used up first, and how many processes that takes."""
    counts = cameras(network, device, fps)
    others = min(counts["video decoder"], counts["CPU"])
    least, most = gpu_ms(network, device)
    low, high = min(counts["GPU"], others), min(SHARE * 1000 / fps / least, others)
    first = min(counts, key=lambda name: counts[name])
    processes = max(1, -(-int(high * fps) // int(SHARE * PROCESS_FPS / device.slower)))
    spread = amount(low) if amount(low) == amount(high) else f"{amount(low)} to {amount(high)}"
    columns = (
        device.name,
        network.name,
        network.technique,
        f"{least:.1f} to {most:.1f}",
        f"**{spread}**",
        first,
        processes,
    )
    return f"| {' | '.join(map(str, columns))} |"


def amount(cameras_served: float) -> str:
    """Return a number of cameras in words that promise nothing: whole ones, or the rate that a single one gets."""
    return str(int(cameras_served)) if cameras_served >= 1 else f"{cameras_served:.1f}"


def table(networks: tuple[Network, ...], fps: float) -> str:
    """Return the table in Markdown."""
    lines = [
        f"| device | network | technique | GPU ms a frame | 1080p cameras at {fps:g} fps | used up first | processes |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(row(network, device, fps) for device in DEVICES for network in networks)])


def main() -> int:
    """Print the table, or compare it with a page's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--gmacs", type=float)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--check", type=Path)
    args = parser.parse_args()
    networks = NETWORKS
    if args.gmacs is not None:
        networks = (Network(f"{args.gmacs:g} GMACs", "any", args.gmacs, args.nodes, 0.12),)
    text = table(networks, args.fps)
    print(text)
    if args.check is not None and text not in args.check.read_text():
        print(f"{args.check}: shows another table", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
