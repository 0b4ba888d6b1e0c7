"""DDRNet-23 and -23-slim (Hong et al., "Deep Dual-resolution Networks for Real-time ... Road Scenes").

Written from the paper, under the names of its authors' repository, so that their checkpoints load; these lie on Google
Drive, where only a browser reaches them.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 72
_DRIVE = "https://drive.google.com/file/d"

MODELS = tuple(
    Model(
        name=f"ddrnet-{name}",
        technique="semantic",
        family="ddrnet",
        size=(1024, 2048),
        labels="cityscapes",
        options=options,
        checkpoint=Checkpoint(f"{_DRIVE}/{file}/view", "MIT", by_hand=True),
        code_licence="MIT",
        multiple=8,
        parameters=parameters,
        gmacs=gmacs,
        head_bytes=19 * 128 * 256 * 4,
    )
    for name, options, file, parameters, gmacs in (
        ("23-slim", {"channels": 32, "head_channels": 64}, "1d_K3Af5fKHYwxSo8HkxpnhiekhwovmiP", 5_695_987, 36.28),
        ("23", {"channels": 64, "head_channels": 128}, "16viDZhbmuc3y7OSsUo2vhA7V6kYO0KX6", 20_148_947, 143.06),
    )
)
