"""PIDNet S, M and L (Xu et al., "PIDNet: A Real-time Semantic Segmentation Network Inspired by PID Controllers").

Written from the paper, under the names of its authors' repository, so that their checkpoints load; these lie on Google
Drive, where only a browser reaches them.
"""

from segrt.export.family import Checkpoint, Model

POSITION = 71
_DRIVE = "https://drive.google.com/file/d"

MODELS = tuple(
    Model(
        name=f"pidnet-{name}",
        technique="semantic",
        family="pidnet",
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
        ("s", {"channels": 32}, "1JakgBam_GrzyUMp-NbEVVBPEIXLSCssH", 7_625_715, 47.19),
        ("m", {"channels": 64}, "1q0i4fVWmO7tpBKq_eOyIXe-mRf_hIS7q", 28_538_515, 177.33),
        (
            "l",
            {"channels": 64, "blocks": (3, 4), "pooling_channels": 112, "head_channels": 256},
            "1AR8LHC3613EKwG23JdApfTGsyOAcH0_L",
            36_939_571,
            274.93,
        ),
    )
)
