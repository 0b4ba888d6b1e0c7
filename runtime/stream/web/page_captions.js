// Where captions stand, as in the overlays that segrt draws: inside a region where it is widest, beside it where it is
// small, never on each other.
const GRID = 160; // places are sought on a map of this long side
const SQUEEZE = 2.2; // captions are wide and low: room to the sides counts for less
const SMALLEST_OBJECT = 0.6; // of its caption's own area; a smaller one has none
const SMALLEST_REGION = 0.004; // of the picture

// For each number of the map its widest place: x and y as fractions, its half height as a fraction of the picture's.
export function widest(numbers, width, height) {
  const step = Math.max(1, Math.ceil(Math.max(width, height) / GRID));
  const wide = Math.max(1, Math.floor(width / step)), high = Math.max(1, Math.floor(height / step));
  const cells = new Uint8Array(wide * high), depth = new Float32Array(wide * high);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      cells[y * wide + x] = numbers[((y * step + (step >> 1)) * width + x * step + (step >> 1)) * 4];
    }
  }
  const across = 1 / SQUEEZE;
  const from = (at, there, inside, cost) => (inside && cells[there] === cells[at] ? depth[there] + cost : cost);
  for (let at = 0; at < cells.length; at++) {
    const x = at % wide;
    depth[at] = Math.min(from(at, at - 1, x > 0, across), from(at, at - wide, at >= wide, 1));
  }
  const deepest = new Float32Array(256);
  for (let at = cells.length - 1; at >= 0; at--) {
    const x = at % wide;
    const back = Math.min(from(at, at + 1, x < wide - 1, across), from(at, at + wide, at + wide < cells.length, 1));
    depth[at] = Math.min(depth[at], back);
    deepest[cells[at]] = Math.max(deepest[cells[at]], depth[at]);
  }
  return middles(cells, depth, deepest, wide, high);
}

// The middle of all equally deep cells: a band of even width has its caption in the middle, not at its end.
function middles(cells, depth, deepest, wide, high) {
  const sums = Array.from({ length: 256 }, () => [0, 0, 0]), found = new Map(), nearest = new Float32Array(256).fill(Infinity);
  const deep = (at) => cells[at] && depth[at] >= deepest[cells[at]] * 0.97;
  for (let at = 0; at < cells.length; at++) {
    if (deep(at)) {
      const sum = sums[cells[at]];
      sum[0] += at % wide;
      sum[1] += Math.floor(at / wide);
      sum[2] += 1;
    }
  }
  for (let at = 0; at < cells.length; at++) {
    if (!deep(at)) { continue; }
    const number = cells[at], [x, y, count] = sums[number];
    const off = Math.abs((at % wide) - x / count) + Math.abs(Math.floor(at / wide) - y / count);
    if (off < nearest[number]) {
      nearest[number] = off;
      found.set(number, { x: ((at % wide) + 0.5) / wide, y: (Math.floor(at / wide) + 0.5) / high, room: deepest[number] / high });
    }
  }
  return found;
}

export class Board {
  constructor(pen, size, taken = []) {
    this.pen = pen;
    this.size = size;
    this.taken = taken.map(({ left, top, wide, tall }) => [left, top, left + wide, top + tall]);
    pen.font = `500 ${size}px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;
    pen.textBaseline = "middle";
  }

  // `region`: { name, score, area, color, box: [x, y, width, height], place }, all but area in fractions of the picture.
  label({ name, score, area, color, box, place }) {
    const { width, height } = this.pen.canvas;
    const text = { name, score: score === null ? "" : score.toFixed(2) };
    text.at = this.size * 1.15;
    text.after = text.at + this.pen.measureText(name + " ").width;
    const long = score === null ? this.pen.measureText(name).width : text.after - text.at + this.pen.measureText(text.score).width;
    const wide = Math.ceil(text.at + long + this.size * 0.6), tall = Math.ceil(this.size * 1.5);
    const inside = place && [place.x * width, place.y * height];
    if (score === null) {
      if (inside && area >= SMALLEST_REGION * width * height && place.room * height >= tall * 0.5) {
        this.put(text, color, wide, tall, [inside]);
      }
      return;
    }
    if (area < SMALLEST_OBJECT * wide * tall) { return; }
    const [left, top, across, down] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    const centre = left + across / 2, places = [];
    if (inside && wide <= 0.85 * across && tall <= 0.4 * down) { places.push(inside); }
    places.push([centre, top - tall / 2 - 2]);
    if (down > 3 * tall) { places.push([centre, top + tall]); }
    places.push([centre, top + down + tall / 2 + 2]);
    if (down > 3 * tall) { places.push([centre, top + down / 2]); }
    this.put(text, color, wide, tall, places);
  }

  put(text, color, wide, tall, places) {
    const { width, height } = this.pen.canvas;
    for (const [x, y] of places) {
      const left = Math.min(Math.max(2, x - wide / 2), width - wide - 2);
      const top = Math.min(Math.max(2, y - tall / 2), height - tall - 2);
      if (left < 2 || top < 2 || Math.abs(top - (y - tall / 2)) > tall) { continue; }
      const box = [left - 2, top - 2, left + wide + 2, top + tall + 2];
      if (this.taken.some((one) => box[0] < one[2] && one[0] < box[2] && box[1] < one[3] && one[1] < box[3])) { continue; }
      this.taken.push(box);
      this.draw(text, color, left, top, wide, tall);
      return;
    }
  }

  // As in overlays: a dark pill with a dot of the class's colour, the name, and the score behind it.
  draw(text, color, left, top, wide, tall) {
    const pen = this.pen, middle = top + tall / 2;
    pen.fillStyle = "rgb(20 23 28 / 82%)";
    pen.beginPath();
    pen.roundRect(left, top, wide, tall, tall / 2);
    pen.fill();
    pen.fillStyle = `rgb(${color.join(" ")})`;
    pen.beginPath();
    pen.arc(left + this.size * 0.75, middle, this.size * 0.22, 0, 2 * Math.PI);
    pen.fill();
    pen.fillStyle = "#fff";
    pen.fillText(text.name, left + text.at, middle);
    pen.fillStyle = "#c4ccd5";
    pen.fillText(text.score, left + text.after, middle);
  }
}
