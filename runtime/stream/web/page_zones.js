// Zones and lines over the picture, in its own pixels: an SVG that is letterboxed as the canvas below it.
const COLORS = ["#ffb300", "#00bcd4", "#e91e63", "#8bc34a", "#9c27b0", "#ff7043"]; // as drawn overlays have them
const TEXT = 13; // pixels on the screen
const SVG = "http://www.w3.org/2000/svg";

export const drawn = (tag, attributes = {}, text = "") => {
  const node = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  node.textContent = text;
  return node;
};

export const colour = (index) => COLORS[index % COLORS.length];

const inside = (counts) => Object.entries(counts).filter(([, count]) => count).map(([name, count]) => count + " " + name).join(", ") || "0";
const ways = (crossed) => Object.entries(crossed).map(([way, count]) => count + (way === "left to right" ? " →" : " ←")).join(" ");

// What the server says of one source -> shapes: { kind, name, points, counted, rest }, `rest` being what is kept as it is.
export function shapes(told) {
  if (!told) { return []; }
  return [
    ...told.zones.map(({ name, polygon, counts, ...rest }) => ({ kind: "zone", name, points: polygon, counted: inside(counts), rest })),
    ...told.lines.map(({ name, from, to, crossed, ...rest }) => ({ kind: "line", name, points: [from, to], counted: ways(crossed), rest })),
  ];
}

// Puts what a picture's message counts into shapes that are shown.
export function count(list, { zones, lines }) {
  for (const shape of list) {
    if (shape.kind === "zone" && shape.name in zones) { shape.counted = inside(zones[shape.name]); }
    if (shape.kind === "line" && shape.name in lines) { shape.counted = ways(lines[shape.name]); }
  }
}

// Where the labels of shapes stand, in the picture's pixels: { text, left, top, wide, tall, size }, none on another.
export function labels(canvas, list) {
  const { width, height } = canvas, size = TEXT * width / (canvas.clientWidth || width), tall = 1.6 * size, found = [];
  for (const { kind, name, points, counted } of list) {
    const places = points.map(([x, y]) => [x * width, y * height]);
    const highest = places.reduce((one, other) => (other[1] < one[1] ? other : one));
    const [x, y] = kind === "zone" ? highest : [(places[0][0] + places[1][0]) / 2, (places[0][1] + places[1][1]) / 2];
    const text = counted ? name + " · " + counted : name, wide = text.length * size * 0.56 + size;
    const left = Math.min(Math.max(0, x - wide / 2), Math.max(0, width - wide));
    const rows = [0, 1, -1, 2, -2, 3].map((row) => Math.min(Math.max(0, y + row * 1.1 * tall), Math.max(0, height - tall)));
    const free = (top) => found.every((one) => left >= one.left + one.wide || one.left >= left + wide || top >= one.top + tall || one.top >= top + tall);
    found.push({ text, left, top: rows.find(free) ?? rows[0], wide, tall, size });
  }
  return found;
}

export function show(svg, canvas, list, open = null) {
  const { width, height } = canvas, scale = width / (canvas.clientWidth || width);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const at = ([x, y]) => [x * width, y * height];
  const nodes = [];
  [...list, ...(open ? [open] : [])].forEach((shape, index) => {
    const places = shape.points.map(at), paint = colour(index);
    const path = { points: places.map((place) => place.join(",")).join(" "), stroke: paint, "stroke-width": 2 * scale };
    if (shape.kind === "zone" && shape !== open) {
      nodes.push(drawn("polygon", { ...path, fill: paint, "fill-opacity": 0.12 }));
    } else {
      nodes.push(drawn("polyline", { ...path, fill: "none" }));
      if (shape.kind === "line" && places.length === 2) { nodes.push(arrow(places, paint, 9 * scale)); }
    }
  });
  labels(canvas, list).forEach((one, index) => nodes.push(...label(one, colour(index)))); // above all shapes
  svg.replaceChildren(...nodes);
  return { at, scale };
}

function arrow([[ax, ay], [bx, by]], paint, size) {
  const turn = Math.atan2(by - ay, bx - ax), wing = (by_) => [bx - size * Math.cos(turn + by_), by - size * Math.sin(turn + by_)];
  return drawn("polygon", { points: [[bx, by], wing(0.45), wing(-0.45)].map((place) => place.join(",")).join(" "), fill: paint });
}

function label({ text, left, top, wide, tall, size }, paint) {
  const word = drawn("text", { x: left + wide / 2, y: top + 1.15 * size, "font-size": size, "text-anchor": "middle", fill: "#fff" }, text);
  return [drawn("rect", { x: left, y: top, width: wide, height: tall, rx: tall / 2, fill: "rgb(20 23 28 / 82%)", stroke: paint, "stroke-width": size / 12 }), word];
}
