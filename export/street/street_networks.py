"""Three small networks on one backbone: semantic, instance and panoptic segmentation of the street world.

Things are found by *location queries*: every cell of a stride-8 grid predicts class logits and the weights of a mask;
cells that are local maxima become queries, the best `queries` of them leave the graph, so shapes are static. A query's
mask is a dot product with the stride-2 mask features plus a parabola around the cell that confines it. Each stuff class
has one query of its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = (192, 320)  # height, width of the network's input
STUFF_CLASSES = 5
THING_CLASSES = 6
CLASSES = STUFF_CLASSES + THING_CLASSES
GRID_STRIDE = 8
MASK_STRIDE = 2
MASK_CHANNELS = 24
PARABOLA = 5  # two curvatures, two slopes, one offset
QUERIES = 40
NEVER = -10.0  # logit of what cannot be
PIXEL_MEAN, PIXEL_SCALE = 110.0, 60.0


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside an identity; `hidden` channels between them."""

    def __init__(self, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or channels
        self.first = convolution(channels, hidden)
        self.second = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.constant_(self.norm.weight, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return F.relu(x + self.norm(self.second(self.first(x))))


class Backbone(nn.Module):
    """A feature pyramid from stride 2 to stride 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stage2 = convolution(3, 16, 3, 2)
        self.stage4 = nn.Sequential(convolution(16, 32, 3, 2), ResidualBlock(32), ResidualBlock(32))
        self.stage8 = nn.Sequential(convolution(32, 64, 3, 2), ResidualBlock(64), ResidualBlock(64))
        self.stage16 = nn.Sequential(convolution(64, 96, 3, 2), ResidualBlock(96, 64))
        self.stage32 = nn.Sequential(nn.MaxPool2d(2), ResidualBlock(96, 48), ResidualBlock(96, 48))
        self.lateral32 = nn.Conv2d(96, 64, 1)
        self.lateral16 = nn.Conv2d(96, 64, 1)
        self.lateral8 = nn.Conv2d(64, 64, 1)
        self.merge8 = convolution(64, 64)
        self.lateral4 = nn.Conv2d(32, 32, 1)
        self.down4 = nn.Conv2d(64, 32, 1)
        self.merge4 = nn.Sequential(convolution(32, 32), convolution(32, 32))
        self.merge2 = nn.Sequential(
            convolution(48, MASK_CHANNELS), nn.Conv2d(MASK_CHANNELS, MASK_CHANNELS, 3, padding=1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mask features (B, MASK_CHANNELS, H/2, W/2) and grid features (B, 64, H/8, W/8)."""
        x2 = self.stage2(x)
        x4 = self.stage4(x2)
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)
        p16 = self.lateral16(x16) + enlarge(self.lateral32(x32), x16)
        p8 = self.merge8(self.lateral8(x8) + enlarge(p16, x8))
        p4 = self.merge4(self.lateral4(x4) + enlarge(self.down4(p8), x4))
        return self.merge2(torch.cat([x2, enlarge(p4, x2)], 1)), p8


def enlarge(x: Tensor, like: Tensor) -> Tensor:
    """Resize `x` to the height and width of `like`, bilinearly."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class SemanticNetwork(nn.Module):
    """Class logits for every stride-2 pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.classify = nn.Conv2d(MASK_CHANNELS, CLASSES, 1)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Map a normalised image (B, 3, H, W) to logits (B, CLASSES, H/2, W/2)."""
        features, _ = self.backbone(x)
        return (self.classify(F.relu(features)),)


class QueryNetwork(nn.Module):
    """Class logits ("no object" last) and mask logits of thing queries; with `stuff`, of one per stuff class too."""

    x_of_column: Tensor
    y_of_row: Tensor
    cells: Tensor
    class_bias: Tensor

    def __init__(self, stuff: bool) -> None:
        super().__init__()
        self.stuff = stuff
        self.backbone = Backbone()
        self.head = nn.Sequential(convolution(64, 64), convolution(64, 64))
        self.heat = nn.Conv2d(64, THING_CLASSES, 1)
        self.kernel = nn.Conv2d(64, MASK_CHANNELS + PARABOLA, 1)
        self.classify = nn.Conv2d(
            MASK_CHANNELS, CLASSES, 1
        )  # helps training; the panoptic network takes its stuff rows
        nn.init.constant_(self.heat.bias, -3.5)  # type: ignore[arg-type]
        self.register_buffer("class_bias", torch.zeros(THING_CLASSES))  # calibrated after training
        unit = 16.0  # pixels; keeps coordinates near one
        height, width = SIZE
        columns = (torch.arange(width // MASK_STRIDE) + 0.5) * MASK_STRIDE / unit
        rows = (torch.arange(height // MASK_STRIDE) + 0.5) * MASK_STRIDE / unit
        self.register_buffer("x_of_column", columns)
        self.register_buffer("y_of_row", rows)
        grid_y, grid_x = torch.meshgrid(
            (torch.arange(height // GRID_STRIDE) + 0.5) * GRID_STRIDE / unit,
            (torch.arange(width // GRID_STRIDE) + 0.5) * GRID_STRIDE / unit,
            indexing="ij",
        )
        self.register_buffer("cells", torch.stack([grid_x, grid_y], -1).reshape(1, -1, 2))

    def grids(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask features, class heat (B, THING_CLASSES, H/8, W/8) and mask weights (B, cells, weights)."""
        features, p8 = self.backbone(x)
        hidden = self.head(p8)
        return features, self.heat(hidden), self.kernel(hidden).flatten(2).transpose(1, 2)

    def masks(self, features: Tensor, weights: Tensor, cells: Tensor) -> Tensor:
        """Return mask logits (B, Q, H/2, W/2) of queries with `weights` (B, Q, n) at `cells` (B, Q, 2)."""
        batch, _, height, width = features.shape
        products = (weights[..., :MASK_CHANNELS] @ features.flatten(2)).float().reshape(batch, -1, height, width)
        bend_x, bend_y, slope_x, slope_y, offset = weights[..., MASK_CHANNELS:].float().unbind(-1)
        dx = self.x_of_column - cells[..., 0:1]  # (B, Q, W/2)
        dy = self.y_of_row - cells[..., 1:2]  # (B, Q, H/2)
        across = dx * (slope_x[..., None] - F.softplus(bend_x)[..., None] * dx)
        down = dy * (slope_y[..., None] - F.softplus(bend_y)[..., None] * dy) + offset[..., None]
        return products + across[..., None, :] + down[..., :, None]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map a normalised image (B, 3, H, W) to class logits (B, Q, C + 1) and mask logits (B, Q, H/2, W/2)."""
        features, heat, weights = self.grids(x)
        batch = x.shape[0]
        best = heat.amax(1, keepdim=True)
        is_peak = (best >= F.max_pool2d(best, 3, 1, 1)).to(best.dtype)
        ranked, index = (best * is_peak + 3 * NEVER * (1 - is_peak)).flatten(1).topk(QUERIES, 1)

        def chosen(grid: Tensor) -> Tensor:
            return grid.gather(1, index[..., None].expand(-1, -1, grid.shape[-1]))

        mask_logits = self.masks(features, chosen(weights), chosen(self.cells.expand(batch, -1, -1)))
        logits = chosen(heat.flatten(2).transpose(1, 2)) + self.class_bias
        logits = torch.where(ranked[..., None] > 2 * NEVER, logits, torch.full_like(logits, NEVER))
        class_logits = torch.cat([logits, torch.zeros_like(logits[..., :1])], -1)
        if not self.stuff:
            return class_logits, mask_logits
        never = torch.full_like(logits[..., :1], NEVER).expand(-1, -1, STUFF_CLASSES)
        class_logits = torch.cat([never, class_logits], -1)
        fixed = torch.full((STUFF_CLASSES, CLASSES + 1), NEVER, device=x.device)
        fixed[:, -1] = 0.0
        fixed += torch.cat([torch.eye(STUFF_CLASSES) * 16.0, torch.zeros(STUFF_CLASSES, THING_CLASSES + 1)], 1)
        stuff_masks = self.classify(F.relu(features))[:, :STUFF_CLASSES]
        return (
            torch.cat([fixed.expand(batch, -1, -1), class_logits], 1),
            torch.cat([stuff_masks.float(), mask_logits], 1),
        )


def normalise(image: Tensor) -> Tensor:
    """Map pixel values 0 to 255, RGB, to about -2 to 2."""
    return (image.float() - PIXEL_MEAN) / PIXEL_SCALE


class Deployed(nn.Module):
    """A network as it is exported: uint8 NHWC RGB in, raw heads out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map an image (1, H, W, 3) uint8 to the network's heads."""
        heads: tuple[Tensor, ...] = self.network(normalise(image.float().permute(0, 3, 1, 2)))
        return heads
