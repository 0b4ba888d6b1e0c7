// Zones and lines are drawn with the mouse, a finger or a pen. They are saved on the device where the stream allows it,
// and leave the page as the file that --zones reads.
import { reason } from "./page_messages.js";
import { colour, count, drawn, labels, shapes, show } from "./page_zones.js";

const make = (tag, text = "", values = {}) => Object.assign(document.createElement(tag), { textContent: text }, values);
const CLOSE = 12; // pixels on the screen: so near to the first corner a click closes the zone
const round = (value) => Math.min(1, Math.max(0, Math.round(value * 10000) / 10000));

export class ZoneEditor {
  constructor({ svg, canvas, list, edit, tools, said, sources }) {
    Object.assign(this, { svg, canvas, list, edit, tools, said, sources });
    this.section = edit.closest("section");
    this.told = null; // what the server counts, source -> zones
    this.live = []; // the shapes of the source that is shown
    this.source = ""; // which that is, where there are several
    this.file = null; // { name, revision } of the file that they are saved in, null where none may be
    this.over = null; // the file's revision when editing began
    this.mine = null; // the shapes that are edited, null while none are
    this.open = null; // the one that is being drawn
    this.held = null; // the corner that is dragged: { shape, index }
    edit.addEventListener("click", () => this.toggle());
    for (const button of tools.querySelectorAll("button")) { button.addEventListener("click", () => this[button.dataset.does]()); }
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    svg.addEventListener("pointerup", () => { this.held = null; });
    svg.addEventListener("dblclick", () => this.finish());
    window.addEventListener("keydown", (event) => {
      if (!this.open) { return; }
      if (event.key === "Enter") { this.finish(); }
      if (event.key === "Escape") { this.open = null; this.paint(); }
    });
  }

  // `told`: source -> zones, null of a run without; `file` as above.
  take(told, source, sources, file) {
    this.told = told;
    this.source = sources.length > 1 ? source : "";
    this.file = file;
    this.tools.querySelector("[data-does=save]").hidden = !file;
    this.live = shapes(told && told[source]);
    if (!this.mine) { this.rows(); }
  }

  // Takes the counts that came with a picture.
  count(counts) { count(this.live, counts); }

  labels() { return labels(this.canvas, this.mine || this.live); }

  // Shows the counts in the list.
  recount() {
    const cells = this.mine ? [] : this.list.querySelectorAll("b");
    cells.forEach((cell, index) => { if (this.live[index] && cell.textContent !== this.live[index].counted) { cell.textContent = this.live[index].counted; } });
  }

  toggle() {
    this.mine = this.mine ? null : this.live.map((shape) => ({ ...shape, counted: "", points: shape.points.map((point) => [...point]) }));
    this.open = null;
    this.over = this.file && this.file.revision;
    this.say("");
    this.edit.textContent = this.mine ? "Cancel" : "Edit";
    this.edit.setAttribute("aria-pressed", String(Boolean(this.mine)));
    this.tools.hidden = !this.mine;
    this.sources.disabled = Boolean(this.mine); // what is drawn is of the source that is shown
    this.svg.classList.toggle("editing", Boolean(this.mine));
    this.section.classList.toggle("editing", Boolean(this.mine)); // stands first then: what is above it would move it
    this.section.scrollIntoView({ block: "nearest" });
    this.rows();
    this.paint();
  }

  zone() { this.begin("zone"); }

  line() { this.begin("line"); }

  begin(kind) {
    const names = new Set(this.mine.map((shape) => shape.name));
    let number = 1;
    while (names.has(kind + " " + number)) { number += 1; }
    this.open = { kind, name: kind + " " + number, points: [], counted: "", rest: this.source ? { source: this.source } : {} };
    this.say(kind === "zone" ? "Click the corners; a click on the first one closes the zone." : "Click where the line begins, then where it ends: its sides are those of who looks that way.");
    this.paint();
  }

  place(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [round(point.x / this.canvas.width), round(point.y / this.canvas.height)];
  }

  near(one, other) {
    const scale = this.canvas.clientWidth || this.canvas.width, high = scale * this.canvas.height / this.canvas.width;
    return Math.hypot((one[0] - other[0]) * scale, (one[1] - other[1]) * high) < CLOSE;
  }

  down(event) {
    if (!this.mine) { return; }
    const place = this.place(event);
    event.preventDefault();
    if (!this.open) {
      for (const shape of this.mine) {
        const index = shape.points.findIndex((point) => this.near(point, place));
        if (index >= 0) { this.held = { shape, index }; this.svg.setPointerCapture(event.pointerId); return; }
      }
      return;
    }
    const { kind, points } = this.open;
    if (kind === "zone" && points.length > 2 && this.near(points[0], place)) { this.finish(); return; }
    if (points.length && this.near(points.at(-1), place)) { return; } // the second click of a double one
    points.push(place);
    if (kind === "line" && points.length === 2) { this.finish(); } else { this.paint(); }
  }

  move(event) {
    if (!this.held) { return; }
    this.held.shape.points[this.held.index] = this.place(event);
    this.paint();
    this.check();
  }

  finish() {
    const shape = this.open;
    if (!shape || shape.points.length < (shape.kind === "zone" ? 3 : 2)) { return; }
    this.mine.push(shape);
    this.open = null;
    this.rows();
    this.paint();
    this.check();
  }

  document() {
    const others = Object.values(this.told || {}).flatMap((told) => shapes(told));
    const here = new Set(this.live.map((shape) => shape.name)), kept = new Map();
    for (const shape of others) { if (!here.has(shape.name)) { kept.set(shape.name, shape); } } // those of other sources
    const all = [...this.mine, ...kept.values()], rules = Object.values(this.told || {})[0]?.rules || [];
    const zones = all.filter((shape) => shape.kind === "zone").map(({ name, points, rest }) => ({ name, polygon: points, ...rest }));
    const lines = all.filter((shape) => shape.kind === "line").map(({ name, points, rest }) => ({ name, from: points[0], to: points[1], ...rest }));
    return JSON.stringify({ format: "1.0", zones, lines, ...(rules.length ? { rules } : {}) }, null, 1) + "\n";
  }

  check() {
    const names = this.mine.map((shape) => shape.name.trim().toLowerCase());
    const bad = this.mine.find((shape) => shape.kind === "zone" && crosses(shape.points));
    let problem = bad ? `“${bad.name}” crosses itself; move a corner.` : "";
    if (names.some((name) => !name)) { problem = "Give each a name."; }
    if (new Set(names).size < names.length) { problem = "Two have the same name; rename one."; }
    this.say(problem || (this.file ? `“Save” puts them into ${this.file.name} on the device.` : "Download the file, and give it to segrt stream as --zones FILE."));
    return !problem;
  }

  async save() {
    if (!this.check()) { return; }
    const [button] = this.tools.querySelectorAll("[data-does=save]");
    button.disabled = true;
    try {
      const headers = { "content-type": "application/json", "if-match": `"${this.over}"` };
      const answer = await fetch("zones.json", { method: "PUT", headers, body: this.document(), signal: AbortSignal.timeout(15000) });
      if (!answer.ok) { this.say("Not saved: " + await reason(answer)); return; }
      const { name } = this.file;
      this.file = { name, ...await answer.json() };
      this.live = this.mine;
      this.toggle();
      this.say(`Saved in ${name} on the device; what is inside is counted from now on.`);
    } catch (error) {
      this.say("Not saved: there is no connection. Try again, or download the file.");
    } finally { button.disabled = false; }
  }

  async copy() {
    if (!this.check()) { return; }
    try {
      await navigator.clipboard.writeText(this.document());
      this.say("Copied; write it into the file that --zones names.");
    } catch (error) { this.say("The browser lets nothing be copied here; download the file instead."); }
  }

  download() {
    if (!this.check()) { return; }
    const link = make("a", "", { href: URL.createObjectURL(new Blob([this.document()], { type: "application/json" })), download: "zones.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.say("Start segrt stream again with --zones zones.json to count in these.");
  }

  say(text) { if (this.said.textContent !== text) { this.said.textContent = text; } }

  rows() {
    const list = this.mine || this.live;
    this.list.replaceChildren(...list.map((shape, index) => {
      const row = make("li"), dot = make("i");
      dot.style.background = colour(index);
      row.append(dot);
      if (!this.mine) {
        row.append(make("span", shape.name), make("b", shape.counted));
        return row;
      }
      const name = make("input", "", { value: shape.name, maxLength: 64, ariaLabel: "Name of " + shape.kind });
      name.addEventListener("input", () => { shape.name = name.value.trim(); this.paint(); this.check(); });
      const gone = make("button", "Delete", { type: "button", ariaLabel: "Delete " + shape.name });
      gone.addEventListener("click", () => { this.mine.splice(this.mine.indexOf(shape), 1); this.rows(); this.paint(); this.check(); });
      row.append(name, gone);
      return row;
    }));
  }

  paint() {
    const { at, scale } = show(this.svg, this.canvas, this.mine || this.live, this.open);
    if (!this.mine) { return; }
    [...this.mine, ...(this.open ? [this.open] : [])].forEach((shape, index) => shape.points.forEach((point) => {
      const [cx, cy] = at(point);
      this.svg.append(drawn("circle", { cx, cy, r: 6 * scale, fill: "#fff", stroke: colour(index), "stroke-width": 2 * scale }));
    }));
  }
}

export function crosses(points) {
  const turn = ([ax, ay], [bx, by], [cx, cy]) => Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));
  const edges = points.map((point, index) => [point, points[(index + 1) % points.length]]);
  return edges.some(([a, b], one) => edges.some(([c, d], other) => {
    if (other < one + 2 || (one === 0 && other === edges.length - 1)) { return false; }
    return turn(a, b, c) !== turn(a, b, d) && turn(c, d, a) !== turn(c, d, b);
  }));
}
