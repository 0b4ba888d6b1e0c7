// The camera's picture with the regions over it, and what is in them.
import { Board, widest } from "./page_captions.js";

const CAPTION = 12.5; // pixels on the screen, however small the picture is shown

export async function decode({ head, jpeg, map }) {
  const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const [picture, flat] = await Promise.all([
    jpeg.length ? createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })) : null, // else it comes as video
    createImageBitmap(new Blob([map], { type: "image/png" }), plain),
  ]);
  const { width, height } = flat, pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  pen.drawImage(flat, 0, 0);
  flat.close();
  const numbers = pen.getImageData(0, 0, width, height).data, areas = new Uint32Array(256);
  for (let at = 0; at < numbers.length; at += 4) { areas[numbers[at]]++; }
  return { head, picture, width, height, numbers, areas };
}

// Class -> how many things (null where they are not counted), and its share of the picture.
export function amounts({ head, width, height, areas }) {
  const found = new Map();
  head.regions.forEach(([kind, score], index) => {
    const amount = found.get(kind) || found.set(kind, { things: score === null ? null : 0, share: 0 }).get(kind);
    if (score !== null) { amount.things += 1; }
    amount.share += areas[index + 1] / (width * height);
  });
  return new Map([...found].sort(([one], [other]) => one - other));
}

// Neighbours of one class differ; what is tracked keeps its colour from picture to picture.
export function colour(labels, head, number) {
  const label = labels[head.regions[number][0]];
  if (!label) { return [128, 128, 128]; }
  const shift = label.isthing ? [1, 0.82, 1.18, 0.68, 1.32][(trackOf(head, number) ?? number) % 5] : 1;
  return label.color.map((value) => Math.min(255, Math.round(value * shift)));
}

const trackOf = (head, number) => (head.tracks ? head.tracks[number] : null);

// The tracked things of a picture: { id, kind, score, number }, in the order of their numbers.
export function tracks({ head }) {
  const found = head.regions.map(([kind, score], number) => ({ id: trackOf(head, number), kind, score, number }));
  return found.filter((one) => one.id !== null).sort((one, other) => one.id - other.id);
}

// `taken` are boxes of the picture that captions leave free: { left, top, wide, tall }.
export function paint(canvas, shown, classes, opacity, taken = []) {
  const { head, picture, width, height, numbers } = shown, pen = canvas.getContext("2d");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  pen.drawImage(picture, 0, 0);
  const alpha = Math.round(opacity * 255);
  const table = new Uint32Array(256), edge = new Uint32Array(256);
  head.regions.forEach((region, index) => {
    if (!classes.shows(region[0])) { return; }
    const [red, green, blue] = colour(classes.labels, head, index);
    const pixel = (blue << 16) | (green << 8) | red;
    table[index + 1] = ((alpha << 24) | pixel) >>> 0;
    edge[index + 1] = ((Math.min(255, alpha ? alpha + 110 : 0) << 24) | pixel) >>> 0;
  });
  const layer = new OffscreenCanvas(width, height), over = layer.getContext("2d");
  const image = over.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let at = 0, total = width * height; at < total; at++) {
    const number = numbers[at * 4];
    if (number) {
      const rim = number !== numbers[(at + 1) * 4] || number !== numbers[(at + width) * 4];
      pixels[at] = rim ? edge[number] : table[number];
    }
  }
  over.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
  captions(pen, shown, classes, taken);
}

function captions(pen, { head, width, height, numbers, areas }, classes, taken) {
  const { canvas } = pen, reduced = canvas.width / (canvas.clientWidth || canvas.width);
  const board = new Board(pen, Math.max(CAPTION, CAPTION * reduced), taken);
  const places = widest(numbers, width, height), cell = (canvas.width * canvas.height) / (width * height);
  const regions = head.regions.map((region, index) => ({ region, index, area: areas[index + 1] * cell }));
  // Objects before stuff, and the large before the small.
  regions.sort((one, other) => (one.region[1] === null) - (other.region[1] === null) || other.area - one.area);
  for (const { region, index, area } of regions) {
    const label = classes.labels[region[0]];
    if (!label || !classes.shows(region[0])) { continue; }
    const [, score, ...box] = region, color = colour(classes.labels, head, index), track = trackOf(head, index);
    const name = track === null ? label.name : `${label.name} ${track}`;
    board.label({ name, score, area, color, box, place: places.get(index + 1) });
  }
}

export function spark(canvas, series) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!wide || !high) { return; }
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const pen = canvas.getContext("2d"), top = Math.max(...series, 0.1), line = Math.max(1, ratio);
  const at = (index) => [
    series.length > 1 ? (index / (series.length - 1)) * wide : wide,
    high - line / 2 - (series[index] / top) * (high - line),
  ];
  pen.clearRect(0, 0, wide, high);
  pen.fillStyle = pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = line;
  pen.beginPath();
  pen.moveTo(0, at(0)[1]);
  series.forEach((_, index) => pen.lineTo(...at(index)));
  pen.stroke();
  pen.lineTo(wide, high);
  pen.lineTo(0, high);
  pen.globalAlpha = 0.25;
  pen.fill();
  pen.globalAlpha = 1;
}
