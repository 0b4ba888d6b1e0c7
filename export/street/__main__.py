"""`python -m segrt.export.street`: trains the three embedded models and writes their bundles.

It takes about an hour on two cores that know bfloat16 (AMX or AVX-512 BF16), most of it for the panoptic network.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from segrt.export.street.samples import CALIBRATION_SEED, TRAINING_SEED, render_frames
from segrt.export.street.score_calibration import calibrate
from segrt.export.street.street_bundle import write_street_bundle
from segrt.export.street.street_networks import QueryNetwork
from segrt.export.street.train import make_network, train
from segrt.runtime.console.exits import run_command

CALIBRATION_FRAMES = 200


@dataclass(frozen=True)
class Training:
    """How one network is trained: from which other's weights, how many steps, at which rate."""

    technique: str
    start: str | None
    steps: int
    learning_rate: float


# The panoptic network learns everything; the other two go on from what it knows.
TRAININGS = (
    Training("panoptic", None, 6000, 2.5e-3),
    Training("instance", "panoptic", 1500, 1e-3),
    Training("semantic", "panoptic", 1500, 1e-3),
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundles: runtime/models.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/street-training"), show_default=True)
@click.option("--frames", type=click.IntRange(1), default=12_000, show_default=True, help="Training pictures.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, help="Of the numbers of steps.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--only", type=click.Choice([training.technique for training in TRAININGS]), help="Train this one alone.")
def main(
    out: Path, work: Path, frames: int, scale: float, batch: int, threads: int, seed: int, only: str | None
) -> None:
    """Train the three embedded models; an interrupted run goes on from its last checkpoint in WORK."""
    torch.set_num_threads(threads)
    pictures = render_frames(TRAINING_SEED, frames, work)
    calibration = render_frames(CALIBRATION_SEED, CALIBRATION_FRAMES, work)
    for training in TRAININGS:
        if only not in (None, training.technique):
            continue
        started = time.monotonic()
        torch.manual_seed(seed)
        network = make_network(training.technique)
        if training.start is not None:
            weights = torch.load(work / f"{training.start}.pt", weights_only=True)["average"]
            network.load_state_dict(weights, strict=False)
        steps = max(round(training.steps * scale), 1)
        network = train(
            network,
            pictures,
            steps=steps,
            batch_size=batch,
            learning_rate=training.learning_rate,
            seed=seed,
            checkpoint=work / f"{training.technique}.pt",
        )
        if isinstance(network, QueryNetwork):
            print("class bias:", calibrate(network, calibration).round(2).tolist())
        start = f", from {training.start}" if training.start else ""
        note = f"{steps} steps of {batch} frames out of {frames}, seed {seed}{start}"
        folder = write_street_bundle(network, training.technique, out, note)
        print(f"{folder}: {(time.monotonic() - started) / 60:.0f} min")


if __name__ == "__main__":
    run_command(main)
