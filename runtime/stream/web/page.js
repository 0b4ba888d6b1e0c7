"use strict";
// Everything that comes from the stream (names of classes, sources, sinks) is put into the page as text, never as HTML.
const $ = (id) => document.getElementById(id);
const make = (tag, text = "") => Object.assign(document.createElement(tag), { textContent: text });
const HISTORY = 120;
const hidden = new Set();
const past = new Map(); // stage -> its last times in ms
let labels = [];
let source = "";
let last = null; // the newest message, kept to paint again when a class is toggled
let lastAt = 0;
let attempt = null;
let times = [];

function parse(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const jpeg = bytes.slice(4 + length, 4 + length + head.jpeg);
  const map = bytes.slice(4 + length + head.jpeg, 4 + length + head.jpeg + head.map);
  return { head, jpeg, map };
}

async function* messages(reader) {
  let chunks = [], held = 0, wanted = -1;
  const take = (count) => {
    const all = new Uint8Array(held);
    let at = 0;
    for (const chunk of chunks) { all.set(chunk, at); at += chunk.length; }
    chunks = [all.slice(count)];
    held -= count;
    return all.slice(0, count);
  };
  const peek = () => {
    if (chunks.length > 1) { take(0); }
    return chunks[0];
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) { return; }
    chunks.push(value);
    held += value.length;
    for (;;) {
      if (wanted < 0 && held >= 4) {
        const all = peek(), length = new DataView(all.buffer, all.byteOffset).getUint32(0);
        if (held < 4 + length) { break; }
        const head = JSON.parse(new TextDecoder().decode(all.subarray(4, 4 + length)));
        wanted = 4 + length + head.jpeg + head.map;
      }
      if (wanted < 0 || held < wanted) { break; }
      const bytes = take(wanted);
      wanted = -1;
      yield bytes;
    }
  }
}

async function watch() {
  for (;;) {
    attempt = new AbortController();
    try {
      const query = source ? "?source=" + encodeURIComponent(source) : "";
      const answer = await fetch("stream" + query, { signal: attempt.signal, cache: "no-store" });
      if (answer.ok) {
        for await (const bytes of messages(answer.body.getReader())) { await show(parse(bytes)); }
      }
    } catch (error) { /* the connection is gone: again in a second */ }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

async function show({ head, jpeg, map }) {
  const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const [picture, numbers] = await Promise.all([
    createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })),
    createImageBitmap(new Blob([map], { type: "image/png" }), plain),
  ]);
  const flat = new OffscreenCanvas(numbers.width, numbers.height).getContext("2d", { willReadFrequently: true });
  flat.drawImage(numbers, 0, 0);
  if (last) { last.picture.close(); }
  last = { head, picture, width: numbers.width, height: numbers.height,
    numbers: flat.getImageData(0, 0, numbers.width, numbers.height).data };
  numbers.close();
  lastAt = performance.now();
  times.push(lastAt);
  times = times.filter((moment) => moment > lastAt - 2000);
  Object.entries(head.ms).forEach(([stage, ms]) => remember(stage, ms));
  paint();
}

function remember(stage, ms) {
  const series = past.get(stage) || past.set(stage, []).get(stage);
  series.push(ms);
  if (series.length > HISTORY) { series.shift(); }
}

function colour(region, number) {
  const label = labels[region[0]];
  if (!label) { return [128, 128, 128]; }
  const shift = label.isthing ? [1, 0.82, 1.18, 0.68, 1.32][number % 5] : 1; // neighbours of one class differ
  return label.color.map((value) => Math.min(255, value * shift));
}

function paint() {
  if (!last) { return; }
  const { head, picture, width, height, numbers } = last;
  const canvas = $("picture"), pen = canvas.getContext("2d");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  pen.drawImage(picture, 0, 0);
  const alpha = Math.round(Number($("opacity").value) * 2.55);
  const table = new Uint32Array(256), edge = new Uint32Array(256);
  head.regions.forEach((region, index) => {
    if (hidden.has(region[0])) { return; }
    const [red, green, blue] = colour(region, index);
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
  caption(pen, head, canvas);
}

function caption(pen, head, canvas) {
  const size = Math.max(11, Math.round(canvas.width / 55));
  pen.font = "600 " + size + "px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "top";
  for (const [index, [kind, score, x, y, wide]] of head.regions.entries()) {
    if (score === null || hidden.has(kind) || wide * canvas.width < 2.5 * size) { continue; }
    const text = (labels[kind] ? labels[kind].name : kind) + " " + score.toFixed(2);
    const long = pen.measureText(text).width + 6;
    const left = Math.min(Math.max(0, x * canvas.width), canvas.width - long);
    const top = Math.max(0, y * canvas.height - size - 5);
    const [red, green, blue] = colour([kind], index);
    pen.fillStyle = `rgb(${red} ${green} ${blue} / 85%)`;
    pen.fillRect(left, top, long, size + 4);
    pen.fillStyle = red * 0.3 + green * 0.59 + blue * 0.11 > 140 ? "#000" : "#fff";
    pen.fillText(text, left + 3, top + 2);
  }
}

function spark(canvas, series) {
  const pen = canvas.getContext("2d"), top = Math.max(...series, 0.1);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.beginPath();
  series.forEach((value, index) => {
    pen.lineTo((index / (HISTORY - 1)) * canvas.width, canvas.height - 2 - (value / top) * (canvas.height - 4));
  });
  pen.strokeStyle = "#5cc8a8";
  pen.lineWidth = 2;
  pen.stroke();
}

function legend() {
  const box = $("legend");
  box.replaceChildren(...labels.map((label, index) => {
    const button = make("button"), swatch = make("i");
    swatch.style.backgroundColor = `rgb(${label.color.join(" ")})`;
    button.append(swatch, make("span", label.name));
    button.type = "button";
    button.setAttribute("aria-pressed", String(!hidden.has(index)));
    button.addEventListener("click", () => {
      if (!hidden.delete(index)) { hidden.add(index); }
      button.setAttribute("aria-pressed", String(!hidden.has(index)));
      paint();
    });
    return button;
  }));
}

function sources(names) {
  const box = $("sources");
  if (box.options.length === names.length) { return; }
  box.replaceChildren(...names.map((name) => Object.assign(make("option", name), { value: name })));
  box.hidden = names.length < 2;
  source = source || names[0] || "";
}

async function refresh() {
  let state = null;
  try { state = await (await fetch("state.json", { cache: "no-store" })).json(); } catch (error) { /* shown below */ }
  const late = performance.now() - lastAt > 3000;
  const pill = $("state");
  const said = state ? state.states[source || Object.keys(state.states)[0]] || "connecting" : "no connection";
  pill.textContent = said === "live" && late ? "no picture" : said;
  pill.className = said === "live" && !late ? "pill live" : "pill";
  $("fps").textContent = late ? "0" : (times.length / 2).toFixed(1);
  $("age").textContent = late || !last ? "–" : Math.round(last.head.age_ms) + " ms";
  if (state && state.metrics) {
    if (JSON.stringify(state.labels) !== JSON.stringify(labels)) { labels = state.labels; legend(); paint(); }
    $("technique").textContent = state.technique;
    sources(Object.keys(state.states));
    const held = (state.metrics.sources || {})[source] || state.metrics;
    $("dropped").textContent = held.dropped;
    $("reconnects").textContent = held.reconnects;
    $("results").textContent = held.frames_out;
    $("age95").textContent = held.frame_age_ms.p95 === null ? "–" : Math.round(held.frame_age_ms.p95) + " ms";
    // What does not come with every frame is sampled once a second.
    for (const [stage, ms] of Object.entries(state.newest[source] || {})) {
      if (!last || !(stage in last.head.ms)) { remember(stage, ms); }
    }
    stages(held.stages);
    $("sinks").replaceChildren(...Object.entries(state.metrics.sinks || {}).map(([name, one]) => {
      const row = make("tr");
      row.append(make("td", name), make("td", one.written + " written"), make("td", one.dropped + " dropped"),
        make("td", one.failures + " failures"));
      return row;
    }));
  }
  setTimeout(refresh, 1000);
}

function stages(measured) {
  const body = $("stages");
  for (const [name, held] of Object.entries(measured)) {
    let row = [...body.rows].find((one) => one.dataset.stage === name);
    if (!row) {
      row = body.insertRow();
      row.dataset.stage = name;
      const line = Object.assign(make("canvas"), { width: 192, height: 48 });
      const cell = make("td");
      cell.append(line);
      row.append(make("td", name), cell, make("td"), make("td"), make("td"));
    }
    const series = past.get(name);
    const line = row.querySelector("canvas");
    line.hidden = !series;
    if (series) { spark(line, series); }
    ["p50_ms", "p95_ms", "p99_ms"].forEach((key, index) => { row.cells[index + 2].textContent = held[key].toFixed(1); });
  }
}

$("opacity").addEventListener("input", paint);
$("sources").addEventListener("change", (event) => {
  source = event.target.value;
  past.clear();
  attempt.abort();
});
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
