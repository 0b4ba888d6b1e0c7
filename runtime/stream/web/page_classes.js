// The classes: those in the picture first, with how many or how much; which of them are shown is kept on reload.
const $ = (id) => document.getElementById(id);
const make = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
const STAYS_MS = 4000; // a class that comes and goes does not let the others jump

export function kept(key, value) { // a browser may keep nothing: then this is the default each time
  try {
    if (value === undefined) { return JSON.parse(localStorage.getItem(key)); }
    localStorage.setItem(key, JSON.stringify(value));
  } catch (error) { /* not kept */ }
  return null;
}

export class Classes {
  constructor(changed) {
    this.changed = changed;
    this.key = "";
    this.labels = [];
    this.chosen = {}; // name -> shown or not, where somebody has said so
    this.chips = [];
    this.seen = [];
    $("find").addEventListener("input", () => this.find());
    $("all").addEventListener("click", () => this.chooseAll(true));
    $("none").addEventListener("click", () => this.chooseAll(false));
  }

  shows(kind) {
    const label = this.labels[kind];
    return !label || (this.chosen[label.name] ?? label.painted);
  }

  take(key, labels) {
    this.key = "segrt classes " + key;
    this.labels = labels;
    this.chosen = kept(this.key) || {};
    this.seen = labels.map(() => -Infinity);
    this.chips = labels.map((label, kind) => this.chip(label, kind));
    $("present").replaceChildren();
    $("absent").replaceChildren(...this.chips);
    this.changed();
  }

  chip(label, kind) {
    const button = make("button"), swatch = make("i");
    swatch.style.backgroundColor = swatch.style.borderColor = `rgb(${label.color.join(" ")})`;
    button.append(swatch, make("span", label.name), make("b"));
    button.type = "button";
    button.setAttribute("aria-pressed", String(this.shows(kind)));
    button.addEventListener("click", () => this.choose({ [label.name]: !this.shows(kind) }));
    return button;
  }

  choose(shown) {
    Object.assign(this.chosen, shown);
    kept(this.key, this.chosen);
    this.chips.forEach((button, kind) => button.setAttribute("aria-pressed", String(this.shows(kind))));
    this.changed();
  }

  chooseAll(shown) {
    this.choose(Object.fromEntries(this.labels.map((label) => [label.name, shown && label.painted])));
  }

  // `amounts`: class -> { things, share }, of the newest picture. Called several times a second.
  show(amounts, now) {
    amounts.forEach((_, kind) => { this.seen[kind] = now; });
    for (const [kind, button] of this.chips.entries()) {
      const there = now - this.seen[kind] < STAYS_MS, amount = amounts.get(kind);
      const text = !there ? "" : this.amount(kind, amount || { things: 0, share: 0 });
      if (button.lastChild.textContent !== text) { button.lastChild.textContent = text; }
      const home = there ? $("present") : $("absent");
      if (button.parentElement !== home && document.activeElement !== button) { this.move(button, kind, home); }
    }
    const absent = $("absent").children.length;
    $("more").hidden = absent === 0;
    const text = `${absent} more ${absent === 1 ? "class" : "classes"}`;
    if ($("rest").textContent !== text) { $("rest").textContent = text; }
  }

  amount(kind, { things, share }) {
    if (things !== null) { return String(things); }
    return share > 0 && share < 0.005 ? "<1 %" : `${Math.round(share * 100)} %`;
  }

  move(button, kind, home) { // where it stands in the list of classes
    const next = [...home.children].find((one) => this.chips.indexOf(one) > kind);
    home.insertBefore(button, next || null);
    this.find();
  }

  find() {
    const wanted = $("find").value.trim().toLowerCase();
    for (const button of $("absent").children) {
      button.hidden = !button.children[1].textContent.toLowerCase().includes(wanted);
    }
    for (const button of $("present").children) { button.hidden = false; }
  }

  // What the picture shows, for those who cannot see it.
  words(amounts) {
    const named = [...amounts].filter(([kind]) => this.labels[kind] && this.shows(kind));
    return named.map(([kind, amount]) => `${this.labels[kind].name} ${this.amount(kind, amount)}`).join(", ");
  }
}
