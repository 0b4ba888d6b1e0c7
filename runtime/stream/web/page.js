// Everything that comes from the stream (names of classes, sources, sinks) is put into the page as text, never as HTML.
import { Classes, kept } from "./page_classes.js";
import { messages, parse, reason } from "./page_messages.js";
import { amounts, decode, paint, spark } from "./page_paint.js";
import { Tracks } from "./page_tracks.js";
import { Film } from "./page_video.js";
import { ZoneEditor } from "./page_zone_editor.js";

const $ = (id) => document.getElementById(id);
const make = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
const page = random(); // tells the server that its requests are of one page
const HISTORY = 120;
const LATE_MS = 3000;
const COUNTS_MS = 200; // numbers beside the picture change no faster
const past = new Map(); // stage -> its last times in ms
const classes = new Classes(repaint);
const tracks = new Tracks($("tracks"));
const zones = new ZoneEditor({
  svg: $("zones"), canvas: $("picture"), list: $("shapes"), edit: $("edit"), tools: $("tools"), said: $("said"), sources: $("sources"),
});
let known = ""; // model and labels that the page shows
let source = kept("segrt source") || "";
let last = null; // the newest picture, kept to paint again when a class is toggled
let lastAt = -Infinity;
let countedAt = -Infinity;
let request = null; // the newest one for the stream
let times = [];
let waiting = ""; // why there is no stream
let ended = false;
const film = new Film(() => watch(), (message, still) => present({ ...message, picture: still }));

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (one) => one.toString(16)).join("");
}

function browser() { // tabs of one browser share its few connections; the server is told which belong together
  kept("segrt browser", kept("segrt browser") || random());
  return kept("segrt browser") || "";
}

function say(id, text) { // only changes are announced to screen readers
  if ($(id).textContent !== text) { $(id).textContent = text; }
}

// Reads the stream until a newer request for it takes over. That goes out while the earlier one is still read: the server
// gives it the earlier one's place, which another page that waits would take otherwise.
async function watch() {
  const earlier = request, own = request = new AbortController();
  while (own === request) {
    try {
      const seen = film.playing ? { film: film.name } : {}; // then without pictures
      const query = new URLSearchParams({ browser: browser(), page, ...(source ? { source } : {}), ...seen });
      const answer = await fetch("stream?" + query, { signal: own.signal, cache: "no-store" });
      if (earlier) { earlier.abort(); }
      if (answer.ok) {
        waiting = "";
        for await (const bytes of messages(answer.body.getReader())) {
          const shown = await decode(parse(bytes));
          if (own === request) { show(shown); }
        }
        if (own === request) { ended = last !== null; }
      } else if (answer.status === 404 && source) {
        source = ""; // one of an earlier run
        kept("segrt source", "");
      } else {
        waiting = await reason(answer);
      }
    } catch (error) { /* the connection is gone: again in a second */ }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

function show(shown) {
  ended = false;
  if (shown.picture) { film.note(shown); present(shown); } else { film.take(shown); }
}

// Shows a picture, which came by itself or as video, with what belongs to it.
function present(shown) {
  if (last && last.picture.close) { last.picture.close(); }
  last = shown;
  lastAt = performance.now();
  times.push(lastAt);
  times = times.filter((moment) => moment > lastAt - 2000);
  Object.entries(last.head.ms).forEach(([stage, ms]) => remember(stage, ms));
  if (last.head.zones) { zones.count(last.head.zones); }
  repaint();
  if (lastAt - countedAt >= COUNTS_MS) { counts(); }
}

function repaint() {
  if (!last) { return; }
  paint($("picture"), last, classes, Number($("opacity").value) / 100, zones.labels());
  zones.paint();
}

// What is in the newest picture, beside it.
function counts() {
  countedAt = performance.now();
  const found = amounts(last);
  classes.show(found, countedAt);
  tracks.show(last, classes, countedAt / 1000);
  zones.recount();
}

function remember(stage, ms) {
  const series = past.get(stage) || past.set(stage, []).get(stage);
  series.push(ms);
  if (series.length > HISTORY) { series.shift(); }
}

function sources(names) {
  const box = $("sources");
  if (box.options.length !== names.length) {
    box.replaceChildren(...names.map((name) => Object.assign(make("option", name), { value: name })));
    box.hidden = names.length < 2;
    if (!names.includes(source)) { source = names[0] || ""; }
    box.value = source;
  }
  say("camera", names.length === 1 ? names[0] : "");
}

async function refresh() {
  let state = null;
  try {
    state = await (await fetch("state.json", { cache: "no-store", signal: AbortSignal.timeout(5000) })).json();
  } catch (error) { /* shown below */ }
  if (state && state.metrics) { told(state); }
  film.look(source, Boolean(state && state.webrtc && !waiting));
  status(state);
  if (last) {
    const found = amounts(last);
    counts();
    const words = "Live picture" + (found.size ? ": " + classes.words(found) : "");
    if ($("picture").getAttribute("aria-label") !== words) { $("picture").setAttribute("aria-label", words); }
  }
  setTimeout(refresh, 1000);
}

function status(state) {
  const late = performance.now() - lastAt > LATE_MS;
  let said = state ? state.states[source || Object.keys(state.states)[0]] || "connecting" : "no connection";
  if (!state && ended) { said = "ended"; }
  const over = said === "ended" || (said === "no connection" && last !== null);
  if (said === "live" && (late || waiting)) { said = waiting ? "waiting" : "no picture"; }
  say("state", said);
  $("state").className = said === "live" ? "pill live" : "pill";
  $("view").classList.toggle("over", over);
  let notice = waiting;
  if (over) { notice = said === "ended" ? "The stream has ended." : "The connection is lost; the page goes on when it is back."; }
  $("notice").hidden = !notice;
  say("notice", notice);
  $("fps").textContent = late ? "0" : (times.length / 2).toFixed(1);
  $("age").textContent = late || !last ? "–" : Math.round(last.head.age_ms) + " ms";
}

function told(state) {
  const { metrics } = state, now = JSON.stringify([metrics.model, state.labels]);
  if (state.labels.length && now !== known) {
    known = now;
    classes.take(metrics.model || state.technique, state.labels);
  }
  say("model", metrics.model || "");
  say("technique", state.technique);
  say("execution", [metrics.backend, metrics.precision].filter(Boolean).join(" "));
  sources(Object.keys(state.states));
  const held = (metrics.sources || {})[source] || metrics;
  $("dropped").textContent = held.dropped;
  $("reconnects").textContent = held.reconnects;
  $("results").textContent = held.frames_out;
  $("age95").textContent = held.frame_age_ms.p95 === null ? "–" : Math.round(held.frame_age_ms.p95) + " ms";
  // What does not come with every frame is sampled once a second.
  for (const [stage, ms] of Object.entries(state.newest[source] || {})) {
    if (!last || !(stage in last.head.ms)) { remember(stage, ms); }
  }
  $("shapes").parentElement.hidden = state.technique === "semantic"; // it has no things to count
  zones.take(state.zones, source, Object.keys(state.states), state.zones_file);
  stages(held.stages);
  $("sinks").replaceChildren(...Object.entries(metrics.sinks || {}).map(([name, one]) => {
    const row = make("tr");
    row.append(make("td", name), make("td", one.written + " written"), make("td", one.dropped + " dropped"),
      make("td", one.failures + " failures"));
    return row;
  }));
}

function stages(measured) {
  const body = $("stages");
  for (const [name, held] of Object.entries(measured)) {
    let row = [...body.rows].find((one) => one.dataset.stage === name);
    if (!row) {
      row = body.insertRow();
      row.dataset.stage = name;
      const cell = make("td");
      cell.append(make("canvas"));
      row.append(make("td", name), cell, make("td"), make("td"), make("td"));
    }
    const series = past.get(name), line = row.querySelector("canvas");
    line.hidden = !series;
    if (series) { spark(line, series); }
    ["p50_ms", "p95_ms", "p99_ms"].forEach((key, index) => { row.cells[index + 2].textContent = held[key].toFixed(1); });
  }
}

$("opacity").value = kept("segrt opacity") ?? 50;
$("opacity").addEventListener("input", (event) => {
  kept("segrt opacity", Number(event.target.value));
  repaint();
});
$("sources").addEventListener("change", (event) => {
  source = event.target.value;
  kept("segrt source", source);
  tracks.clear();
  past.clear();
  watch();
});
$("fullscreen").hidden = !document.fullscreenEnabled;
$("fullscreen").addEventListener("click", () => $("view").requestFullscreen());
$("picture").addEventListener("dblclick", () => (document.fullscreenElement ? document.exitFullscreen() : $("view").requestFullscreen()));
window.addEventListener("resize", repaint);
$("snapshot").addEventListener("click", () => {
  $("picture").toBlob((blob) => {
    const link = Object.assign(make("a"), { href: URL.createObjectURL(blob), download: "segrt-" + (last ? last.head.index : 0) + ".png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
});
if (location.search.includes("token=")) { window.history.replaceState(null, "", location.pathname); } // the cookie has it
watch();
refresh();
