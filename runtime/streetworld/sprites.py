"""How the things look: each sprite paints one thing with a `Pen`, in metres above its foot point.

A sprite's appearance is drawn from the thing's own random generator, so it is the same in every frame; `phase` (in
turns) moves legs and wheels. Fine details are left out where they would be smaller than a pixel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segrt.runtime.streetworld.canvas import Color, Pen, hsv, mix, shade

SKIN: tuple[Color, ...] = ((140, 180, 225), (110, 150, 205), (70, 100, 150), (45, 65, 100))
GLASS: Color = (105, 88, 70)
TYRE: Color = (34, 30, 28)
FINE = 14.0  # pixels per metre from which fine details are painted


@dataclass(frozen=True)
class Pose:
    """How a thing stands: seen from the side, the front or the back, and where in its stride it is."""

    facing: str  # "side", "front" or "back"
    phase: float = 0.0  # of the stride, in turns
    signal: int = 0  # a traffic light's state: 0 red, 1 amber, 2 green
    lamps: bool = False  # head and tail lamps lit


def car(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a car: 4.3 m long, 1.8 m wide, 1.5 m high."""
    body = hsv(random.random(), random.choice([0.05, 0.15, 0.6, 0.85]), random.uniform(0.25, 0.95))
    estate = random.random() < 0.4
    dark, roof = shade(body, 0.72), shade(body, 1.12)
    if pose.facing == "side":
        tail = -2.1 if estate else -1.65
        pen.box(-1.95, 0.14, 1.95, 0.34, TYRE)
        pen.polygon(
            [(-2.15, 0.25), (-2.15, 0.8), (tail, 0.98), (-1.5 if estate else -0.95, 1.48), (0.45, 1.5)]
            + [(1.1, 0.95), (2.0, 0.82), (2.15, 0.55), (2.15, 0.25)],
            body,
        )
        pen.polygon([(-2.15, 0.25), (-2.15, 0.42), (2.15, 0.42), (2.15, 0.25)], dark)
        back = -1.75 if estate else -1.3
        pen.polygon([(back, 0.98), (-1.35 if estate else -0.85, 1.4), (-0.3, 1.41), (-0.3, 0.97)], GLASS)
        pen.polygon([(-0.2, 0.97), (-0.2, 1.41), (0.4, 1.41), (0.92, 0.96)], GLASS)
        if pen.scale > FINE:
            pen.polygon([(0.25, 1.0), (0.45, 1.36), (0.55, 1.28), (0.4, 1.0)], mix(GLASS, (255, 255, 255), 0.35))
            pen.box(-0.27, 0.36, -0.24, 0.96, dark)
            pen.box(-0.1, 0.78, 0.12, 0.83, dark)
            pen.box(1.98, 0.62, 2.14, 0.76, (225, 250, 255) if pose.lamps else (200, 215, 220))
            pen.box(-2.15, 0.62, -2.03, 0.8, (40, 40, 220))
        for u in (-1.32, 1.32):
            pen.disc(u, 0.33, 0.34, 0.34, TYRE)
            pen.disc(u, 0.33, 0.19, 0.19, (165, 165, 160))
            if pen.scale > FINE:
                for spoke in range(3):
                    angle = 2 * math.pi * (pose.phase + spoke / 6)
                    du, dv = 0.16 * math.cos(angle), 0.16 * math.sin(angle)
                    pen.limb((u - du, 0.33 - dv), (u + du, 0.33 + dv), 0.05, (95, 92, 90))
        return
    for side in (-1, 1):
        pen.box(side * 0.8 - 0.14, 0.0, side * 0.8 + 0.14, 0.4, TYRE)
    pen.polygon([(-0.72, 0.85), (-0.58, 1.46), (0.58, 1.46), (0.72, 0.85)], roof)
    pen.polygon([(-0.64, 0.88), (-0.52, 1.37), (0.52, 1.37), (0.64, 0.88)], GLASS)
    if pen.scale > FINE:
        pen.polygon([(0.1, 0.9), (0.25, 1.35), (0.42, 1.35), (0.34, 0.9)], mix(GLASS, (255, 255, 255), 0.25))
    pen.polygon([(-0.92, 0.2), (-0.92, 0.75), (-0.75, 0.92), (0.75, 0.92), (0.92, 0.75), (0.92, 0.2)], body)
    pen.box(-0.92, 0.2, 0.92, 0.36, dark)
    front = pose.facing == "front"
    lamp: Color = ((230, 255, 255) if pose.lamps else (215, 232, 235)) if front else (45, 45, 225)
    for side in (-1, 1):
        pen.disc(side * 0.72, 0.66, 0.17, 0.1, lamp)
    if front:
        pen.box(-0.45, 0.42, 0.45, 0.6, (45, 42, 40))
    if pen.scale > FINE:
        pen.box(-0.26, 0.38, 0.26, 0.5, (235, 235, 235))


def bus(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a bus: 9 m long, 2.5 m wide, 3 m high."""
    body = hsv(random.choice([0.0, 0.08, 0.14, 0.33, 0.58]) + random.normal(0, 0.015), random.uniform(0.6, 0.95), 0.85)
    band = (240, 240, 240) if random.random() < 0.6 else shade(body, 0.6)
    if pose.facing == "side":
        half = random.uniform(3.9, 4.8)
        pen.polygon(
            [(-half, 0.35), (-half, 2.9), (-half + 0.2, 3.05), (half - 0.2, 3.05), (half, 2.8), (half, 0.35)], body
        )
        pen.box(-half, 0.35, half, 0.5, shade(body, 0.6))
        pen.box(-half + 0.05, 1.08, half - 0.05, 1.25, band)
        count = 7
        step = (2 * half - 1.4) / count
        for window in range(count):
            u = -half + 0.25 + window * step
            pen.box(u, 1.45, u + step * 0.88, 2.5, GLASS)
            if pen.scale > FINE:
                pen.polygon(
                    [(u + 0.1, 1.5), (u + 0.45, 2.45), (u + 0.65, 2.45), (u + 0.3, 1.5)],
                    mix(GLASS, (255, 255, 255), 0.25),
                )
        pen.box(half - 1.0, 0.5, half - 0.2, 2.5, mix(GLASS, body, 0.2))
        if pen.scale > FINE:
            pen.box(half - 0.62, 0.5, half - 0.57, 2.5, shade(body, 0.6))
            pen.box(half - 0.14, 0.7, half, 0.95, (215, 240, 245))
        for u in (-half * 0.62, half * 0.6):
            pen.disc(u, 0.46, 0.5, 0.5, TYRE)
            pen.disc(u, 0.46, 0.25, 0.25, (150, 150, 150))
        return
    front = pose.facing == "front"
    for side in (-1, 1):
        pen.box(side * 1.0 - 0.2, 0.0, side * 1.0 + 0.2, 0.5, TYRE)
    pen.polygon([(-1.25, 0.3), (-1.25, 2.9), (-1.1, 3.08), (1.1, 3.08), (1.25, 2.9), (1.25, 0.3)], body)
    pen.box(-1.25, 0.3, 1.25, 0.5, shade(body, 0.6))
    pen.box(-1.1, 1.3 if front else 1.6, 1.1, 2.55, GLASS)
    if pen.scale > FINE:
        pen.polygon([(-0.7, 1.4), (-0.3, 2.5), (0.0, 2.5), (-0.4, 1.4)], mix(GLASS, (255, 255, 255), 0.22))
    pen.box(-0.75, 2.66, 0.75, 2.95, (40, 190, 245) if front else shade(body, 0.7))
    pen.box(-1.25, 1.05, 1.25, 1.2, band)
    for side in (-1, 1):
        pen.disc(side * 0.98, 0.74, 0.18, 0.13, (215, 240, 245) if front else (45, 45, 225))


def _figure(pen: Pen, random: np.random.Generator, height: float, stride: float, phase: float, side: bool) -> None:
    """Paint a standing or walking body of `height` metres."""
    skin = SKIN[random.integers(len(SKIN))]
    top = hsv(random.random(), random.uniform(0.25, 0.95), random.uniform(0.3, 0.98))
    legs = hsv(random.choice([0.6, 0.62, 0.08, 0.0]), random.uniform(0.05, 0.6), random.uniform(0.12, 0.5))
    hair = hsv(0.07, random.uniform(0.1, 0.7), random.uniform(0.08, 0.6))
    shoes = shade(legs, 0.5)
    skirt = random.random() < 0.22
    long_hair = random.random() < 0.4
    bag = random.random() < 0.35
    swing = stride * math.sin(2 * math.pi * phase)
    h = height
    hip, shoulder = 0.47 * h, 0.82 * h
    spread = 0.0 if side else 0.07 * h
    for leg in (-1, 1):
        foot = leg * swing * 0.16 * h if side else leg * 0.075 * h
        lift = max(0.0, leg * swing) * (0.02 if side else 0.05) * h
        knee = foot * 0.55 + (0.02 * h if side else 0.0)
        colour = legs if leg < 0 else shade(legs, 0.82)
        colour = mix(colour, skin, 0.85) if skirt else colour
        pen.limb((leg * spread * 0.8, hip), (knee, 0.25 * h), 0.105 * h, colour)
        pen.limb((knee, 0.25 * h), (foot, 0.04 * h + lift), 0.085 * h, colour)
        pen.disc(foot + (0.03 * h if side else 0.0), 0.02 * h + lift, 0.06 * h, 0.03 * h, shoes)
    width = 0.105 * h if side else 0.15 * h
    pen.limb((0.0, shoulder), (0.0, shoulder + 0.06 * h), 0.07 * h, skin)
    if side:
        pen.limb((0.0, shoulder - 0.03 * h), (-0.13 * h * swing, 0.5 * h), 0.07 * h, shade(top, 0.75))
    pen.polygon(
        [(-width, shoulder - 0.03 * h), (-width * 0.6, shoulder + 0.015 * h), (width * 0.6, shoulder + 0.015 * h)]
        + [(width, shoulder - 0.03 * h), (width * 0.8, hip - 0.03 * h), (-width * 0.8, hip - 0.03 * h)],
        top,
    )
    if skirt:
        pen.polygon(
            [
                (-width * 0.8, hip + 0.03 * h),
                (width * 0.8, hip + 0.03 * h),
                (width * 1.2, 0.3 * h),
                (-width * 1.2, 0.3 * h),
            ],
            legs,
        )
    if side:
        pen.limb((0.0, shoulder - 0.04 * h), (0.13 * h * swing, 0.5 * h), 0.07 * h, shade(top, 0.88))
        pen.disc(0.13 * h * swing, 0.48 * h, 0.035 * h, 0.035 * h, skin)
    else:
        for arm in (-1, 1):
            pen.limb((arm * 0.145 * h, shoulder - 0.05 * h), (arm * 0.18 * h, 0.5 * h), 0.068 * h, shade(top, 0.85))
            pen.disc(arm * 0.18 * h, 0.475 * h, 0.033 * h, 0.033 * h, skin)
    if bag:
        pen.box(-0.2 * h, 0.5 * h, -0.09 * h, 0.68 * h, shade(top, 0.45))
    head = 0.92 * h
    if long_hair:
        pen.disc(-0.02 * h if side else 0.0, head - 0.02 * h, 0.085 * h, 0.1 * h, hair)
    pen.disc(0.0, head, 0.068 * h, 0.082 * h, skin)
    pen.disc(-0.012 * h if side else 0.0, head + 0.04 * h, 0.07 * h, 0.05 * h, hair)


def person(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a walking person, 1.45 to 1.9 m tall."""
    _figure(pen, random, random.uniform(1.45, 1.9), random.uniform(0.7, 1.2), pose.phase, pose.facing == "side")


def cyclist(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a rider with the bicycle: 1.75 m long, 1.8 m high."""
    skin = SKIN[random.integers(len(SKIN))]
    frame = hsv(random.random(), 0.8, random.uniform(0.4, 0.9))
    top = hsv(random.random(), random.uniform(0.5, 0.95), random.uniform(0.5, 0.98))
    legs = hsv(0.6, random.uniform(0.1, 0.5), random.uniform(0.12, 0.4))
    helmet = hsv(random.random(), 0.8, 0.9)
    if pose.facing != "side":
        pen.box(-0.045, 0.0, 0.045, 0.7, TYRE)
        swing = 0.1 * math.sin(2 * math.pi * pose.phase)
        for leg in (-1, 1):
            pen.limb((leg * 0.1, 0.95), (leg * 0.15, 0.35 + leg * swing), 0.14, legs)
        pen.limb((-0.3, 1.02), (0.3, 1.02), 0.05, frame)
        pen.polygon([(-0.22, 1.42), (0.22, 1.42), (0.16, 0.88), (-0.16, 0.88)], top)
        for arm in (-1, 1):
            pen.limb((arm * 0.22, 1.38), (arm * 0.28, 1.04), 0.11, shade(top, 0.85))
        pen.disc(0.0, 1.6, 0.11, 0.14, skin)
        pen.disc(0.0, 1.67, 0.13, 0.1, helmet)
        return
    for u in (-0.55, 0.55):
        pen.disc(u, 0.34, 0.34, 0.34, TYRE)
        pen.disc(u, 0.34, 0.25, 0.25, (150, 148, 145))
        if pen.scale > FINE:
            for spoke in range(3):
                angle = 2 * math.pi * (pose.phase + spoke / 6)
                du, dv = 0.25 * math.cos(angle), 0.25 * math.sin(angle)
                pen.limb((u - du, 0.34 - dv), (u + du, 0.34 + dv), 0.025, (90, 90, 90))
    crank, saddle, bars = (0.0, 0.32), (-0.2, 0.92), (0.38, 0.98)
    angle = 2 * math.pi * pose.phase
    pedal = 0.16 * math.cos(angle), 0.32 + 0.16 * math.sin(angle)
    other = -0.16 * math.cos(angle), 0.32 - 0.16 * math.sin(angle)
    for point in (other, pedal):
        knee = (point[0] * 0.5 + 0.2, 0.72 + (point[1] - 0.32) * 0.5)
        pen.limb(saddle, knee, 0.16, legs if point is pedal else shade(legs, 0.7))
        pen.limb(knee, point, 0.12, legs if point is pedal else shade(legs, 0.7))
        if point is other:
            for start, end in (
                ((-0.55, 0.34), saddle),
                (saddle, bars),
                (saddle, crank),
                (crank, bars),
                (bars, (0.55, 0.34)),
            ):
                pen.limb(start, end, 0.06, frame)
    pen.polygon([(-0.34, 0.95), (0.02, 1.5), (0.22, 1.44), (0.0, 0.9)], top)
    pen.limb((0.12, 1.4), (0.38, 1.05), 0.1, shade(top, 0.85))
    pen.disc(0.2, 1.63, 0.12, 0.14, skin)
    pen.disc(0.18, 1.71, 0.15, 0.09, helmet)


def traffic_light(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a traffic light on its pole, 3 to 3.8 m high."""
    height = random.uniform(3.0, 3.8)
    grey = random.uniform(55, 110)
    case = random.uniform(18, 40)
    pen.box(-0.08, 0.0, 0.08, height - 0.9, (grey, grey, grey))
    pen.box(-0.14, 0.0, 0.14, 0.25, (grey * 0.8, grey * 0.8, grey * 0.8))
    pen.box(-0.28, height - 1.2, 0.28, height, (case, case + 4, case))
    lamps: tuple[Color, ...] = ((55, 50, 245), (40, 190, 255), (100, 225, 60))
    for index, lamp in enumerate(lamps):
        lit = index == pose.signal
        pen.disc(0.0, height - 0.24 - index * 0.37, 0.15, 0.15, lamp if lit else shade(lamp, 0.22))
        if lit and pen.scale > FINE:
            pen.disc(0.0, height - 0.22 - index * 0.37, 0.07, 0.07, mix(lamp, (255, 255, 255), 0.6))


def dog(pen: Pen, random: np.random.Generator, pose: Pose) -> None:
    """Paint a dog, 0.9 m long, seen from the side in every pose."""
    size = random.uniform(0.95, 1.3)
    coat = hsv(random.uniform(0.04, 0.11), random.uniform(0.15, 0.7), random.uniform(0.2, 0.9))
    dark = shade(coat, 0.7)
    swing = 0.11 * math.sin(2 * math.pi * pose.phase)
    for u, direction in ((-0.33, 1), (-0.2, -1), (0.2, 1), (0.33, -1)):
        pen.limb(
            (u * size, 0.38 * size), (u * size + direction * swing, 0.03), 0.09 * size, dark if direction < 0 else coat
        )
    wag = 0.08 * math.sin(4 * math.pi * pose.phase)
    pen.limb((-0.38 * size, 0.5 * size), (-0.6 * size + wag, 0.78 * size), 0.07 * size, coat)
    pen.disc(0.0, 0.44 * size, 0.43 * size, 0.17 * size, coat)
    pen.limb((0.32 * size, 0.48 * size), (0.46 * size, 0.66 * size), 0.2 * size, coat)
    pen.disc(0.48 * size, 0.69 * size, 0.16 * size, 0.14 * size, coat)
    pen.disc(0.63 * size, 0.64 * size, 0.11 * size, 0.075 * size, coat)
    pen.disc(0.4 * size, 0.76 * size, 0.06 * size, 0.11 * size, dark)
    if pen.scale > FINE:
        pen.disc(0.72 * size, 0.66 * size, 0.03 * size, 0.03 * size, TYRE)
        pen.disc(0.51 * size, 0.73 * size, 0.02 * size, 0.02 * size, TYRE)


SPRITES: dict[str, Callable[[Pen, np.random.Generator, Pose], None]] = {
    "car": car,
    "bus": bus,
    "person": person,
    "cyclist": cyclist,
    "traffic light": traffic_light,
    "dog": dog,
}
