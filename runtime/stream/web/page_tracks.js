// The tracked things of the newest picture, each with the time since this page saw it first.
import { colour, tracks } from "./page_paint.js";

const make = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
const FORGOTTEN_S = 60; // what is not seen for so long is not remembered
const MOST = 100; // rows; the picture has all of them

export class Tracks {
  constructor(section) {
    this.section = section;
    this.clear();
  }

  clear() {
    this.seen = new Map(); // id -> { first, last }, seconds
    this.section.hidden = true;
  }

  // Called with the newest picture, several times a second.
  show(shown, classes, now) {
    const found = tracks(shown).filter(({ kind }) => classes.shows(kind));
    if (!shown.head.tracks && !this.seen.size) { return; }
    for (const { id } of found) {
      const known = this.seen.get(id) || { first: now };
      this.seen.set(id, { ...known, last: now });
    }
    for (const [id, { last }] of this.seen) { if (now - last > FORGOTTEN_S) { this.seen.delete(id); } }
    this.section.hidden = false;
    this.section.querySelector("tbody").replaceChildren(...found.slice(0, MOST).map((one) => this.row(one, shown, classes, now)));
    this.section.querySelector("p").textContent = found.length ? "" : "none in this picture";
  }

  row({ id, kind, score, number }, { head }, classes, now) {
    const row = make("tr"), name = make("td"), swatch = make("i"), label = classes.labels[kind];
    swatch.style.backgroundColor = `rgb(${colour(classes.labels, head, number).join(" ")})`;
    name.append(swatch, make("span", `${label ? label.name : kind} ${id}`));
    row.append(name, make("td", time(now - this.seen.get(id).first)), make("td", score === null ? "" : score.toFixed(2)));
    return row;
  }
}

function time(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
