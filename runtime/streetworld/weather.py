"""Light, weather and the camera's own faults."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from segrt.runtime.streetworld.canvas import Color

CONDITIONS = ("clear", "overcast", "fog", "rain", "dusk")


@dataclass(frozen=True)
class Weather:
    """The light and weather of one world, and the quality of its camera."""

    condition: str
    brightness: float
    tint: Color  # factor per channel, BGR
    slope: float  # of the light from left to right
    haze_per_metre: float
    haze: Color
    shadow: float  # factor of the ground below things; 1 = none
    cloudiness: float
    blur: float  # standard deviation in pixels per 320 of width; 0 = none
    noise: float  # standard deviation in grey levels

    @property
    def lamps(self) -> bool:
        """Whether drivers have their lamps on."""
        return self.condition in ("fog", "rain", "dusk")


def make_weather(random: np.random.Generator, condition: str | None = None) -> Weather:
    """Draw the weather of a world; `condition` fixes which."""
    drawn = str(random.choice(CONDITIONS, p=[0.45, 0.2, 0.1, 0.12, 0.13]))
    condition = condition or drawn
    brightness = {"clear": 1.0, "overcast": 0.88, "fog": 0.95, "rain": 0.82, "dusk": 0.7}[condition]
    grey = {"clear": 235, "overcast": 215, "fog": 225, "rain": 175, "dusk": 150}[condition]
    warmth = random.normal(0, 0.035)
    blue = 1.18 if condition == "dusk" else 1.0
    return Weather(
        condition=condition,
        brightness=brightness * random.uniform(0.86, 1.1),
        tint=(blue * (1 - warmth), 1.0 + random.normal(0, 0.02), 1 + warmth),
        slope=random.normal(0, 0.08),
        haze_per_metre={"fog": 0.035, "rain": 0.012}.get(condition, 0.003) * random.uniform(0.6, 1.4),
        haze=(grey, grey, grey),
        shadow=0.55 if condition == "clear" else 0.72,
        cloudiness={"clear": 0.0, "dusk": 0.4}.get(condition, 1.0),
        blur=random.uniform(0.3, 0.8) if random.random() < 0.5 else 0.0,
        noise=random.uniform(1.0, 8.0),
    )


def apply_weather(image: npt.NDArray[np.uint8], weather: Weather, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the picture (uint8 BGR, H×W×3) as this weather and camera show it; `random` belongs to the frame."""
    height, width = image.shape[:2]
    if weather.condition == "rain":
        image = _with_rain(image, random)
    if weather.blur:
        image = cv2.GaussianBlur(image, (0, 0), weather.blur * width / 320).astype(np.uint8, copy=False)
    light = weather.brightness * (1 + weather.slope * np.linspace(-1, 1, width, dtype=np.float32))
    gain = light[None, :, None] * np.asarray(weather.tint, np.float32)
    noise = np.empty((height, width, 3), np.int16)
    cv2.setRNGSeed(int(random.integers(1 << 31)))
    cv2.randn(noise, np.zeros(3), np.full(3, weather.noise))
    shown: npt.NDArray[np.uint8] = np.clip(image * gain + noise, 0, 255).astype(np.uint8)
    return shown


def _with_rain(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    height, width = image.shape[:2]
    drops = np.zeros((height, width), np.uint8)
    length = 0.045 * height
    for x, y, factor in zip(
        random.uniform(0, width, 130), random.uniform(0, height, 130), random.uniform(0.5, 1.3, 130), strict=True
    ):
        start = round(x * 16), round(y * 16)
        end = round((x + 0.2 * length * factor) * 16), round((y + length * factor) * 16)
        cv2.line(drops, start, end, 70, max(1, round(width / 900)), cv2.LINE_AA, 4)
    return cv2.add(image, cv2.cvtColor(drops, cv2.COLOR_GRAY2BGR))
