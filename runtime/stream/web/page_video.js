// The camera's pictures as video over WebRTC, in the place of those that come one by one; where there is none, those go on.
const FIRST_MS = 8000; // until the first picture is here; then the page does without
const SILENT_MS = 3000; // without a picture the connection counts as lost
const AGAIN_MS = 30000;
const KEPT = 90; // heads of messages, and maps, that wait for their picture
const PATIENCE = 60; // pictures in a row whose times fit nothing

// The browser says a picture's time shifted by a number that it does not tell. Times are uneven, so that the gaps
// between a few of them leave one shift alone.
export class Shift {
  constructor() { this.found = null; this.possible = []; this.sure = this.missed = 0; }

  // Takes a picture's time; `known` are the times that messages have told. Returns its own time, null if not known yet.
  take(stamp, known) {
    const left = this.possible.filter((shift) => known.has(wrap(stamp - shift)));
    if (left.length) {
      this.possible = left;
      this.missed = 0;
      if (left.length === 1 && this.sure++) { this.found = left[0]; }
    } else if (this.found === null || ++this.missed > PATIENCE) { // its message was lost; or it is another run
      this.possible = [...known.keys()].map((ticks) => wrap(stamp - ticks));
      this.found = null;
      this.sure = this.missed = 0;
    }
    return this.found === null ? null : wrap(stamp - this.found);
  }
}

export const wrap = (ticks) => ticks >>> 0 === ticks ? ticks : ((ticks % 4294967296) + 4294967296) % 4294967296;

// `changed` is called when video begins and ends, `shown(message, still)` with each picture and what belongs to it; the
// still stays as it is until the next one is shown.
export class Film {
  constructor(changed, shown) {
    this.changed = changed;
    this.shown = shown;
    this.playing = false;
    this.wanted = false;
    this.video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, playsInline: true });
    this.waiting = new Map(); // ticks -> message
    this.stills = [new OffscreenCanvas(1, 1), new OffscreenCanvas(1, 1)]; // the next one, and the one that is shown
    this.connection = null;
    this.againAt = 0;
  }

  // Called every second with the source, and whether the server has video.
  look(source, offered) {
    if (this.connection && (source !== this.source || !offered)) { this.stop(); this.againAt = 0; }
    if (!offered || typeof RTCPeerConnection === "undefined" || !("requestVideoFrameCallback" in this.video)) { return; }
    const now = performance.now();
    if (!this.connection && now >= this.againAt) { this.start(source); return; }
    const limit = this.playing ? SILENT_MS : FIRST_MS;
    if (this.connection && !document.hidden && now - this.lastAt > limit) { this.stop(); }
    if (document.hidden) { this.lastAt = now; } // hidden pages are shown no pictures
  }

  async start(source) {
    const connection = this.connection = new RTCPeerConnection();
    this.source = source;
    this.lastAt = performance.now();
    this.shift = new Shift();
    this.unknown = 0;
    this.waiting.clear();
    try {
      const { receiver } = connection.addTransceiver("video", { direction: "recvonly" });
      if ("jitterBufferTarget" in receiver) { receiver.jitterBufferTarget = 0; }
      connection.addEventListener("track", ({ track }) => {
        this.video.srcObject = new MediaStream([track]);
        this.video.play().catch(() => {});
        this.next(connection);
      });
      connection.addEventListener("connectionstatechange", () => {
        if (connection === this.connection && ["failed", "closed"].includes(connection.connectionState)) { this.stop(); }
      });
      await connection.setLocalDescription(await connection.createOffer());
      await gathered(connection);
      const answer = await fetch("webrtc", {
        method: "POST", cache: "no-store", headers: { "content-type": "application/json" },
        body: JSON.stringify({ sdp: connection.localDescription.sdp, source }),
      });
      if (!answer.ok) { throw new Error(String(answer.status)); }
      const { sdp, film } = await answer.json();
      if (connection === this.connection) {
        this.name = film;
        await connection.setRemoteDescription({ type: "answer", sdp });
      }
    } catch (error) {
      if (connection === this.connection) { this.stop(); }
    }
  }

  stop() {
    const { connection, playing } = this;
    this.connection = null;
    this.playing = false;
    this.againAt = performance.now() + AGAIN_MS;
    this.video.srcObject = null;
    this.waiting.clear();
    if (connection) { connection.close(); }
    if (playing) { this.changed(); }
  }

  // Keeps a message for its picture; returns its time in the video, null if it has none.
  note(message) {
    if (message.head.ticks === undefined) { return null; }
    const ticks = wrap(message.head.ticks);
    this.waiting.set(ticks, message);
    while (this.waiting.size > KEPT) { this.waiting.delete(this.waiting.keys().next().value); }
    return ticks;
  }

  // A message without a picture: it waits for its picture, or the picture that is there waits for it.
  take(message) {
    const ticks = this.note(message);
    if (ticks !== null && this.missing === ticks) { this.missing = null; this.present(message); }
  }

  // Takes the picture of this moment: the video goes on.
  hold() {
    const [still] = this.stills, { videoWidth, videoHeight } = this.video;
    if (still.width !== videoWidth || still.height !== videoHeight) { Object.assign(still, { width: videoWidth, height: videoHeight }); }
    still.getContext("2d").drawImage(this.video, 0, 0);
  }

  present(message) {
    this.shown(message, this.stills[0]);
    this.stills.reverse();
  }

  next(connection) {
    this.video.requestVideoFrameCallback((now, about) => {
      if (connection !== this.connection) { return; }
      this.lastAt = performance.now();
      this.hold();
      const seen = this.show(about.rtpTimestamp);
      if (seen && !this.playing) { this.playing = true; this.changed(); }
      this.next(connection);
    });
  }

  // Shows the video's picture with its own map; returns whether that was found, or soon will be.
  show(stamp) {
    const ticks = stamp === undefined ? null : this.shift.take(wrap(stamp), this.waiting);
    if (stamp !== undefined && ticks === null && ++this.unknown < PATIENCE) { return false; }
    // A browser that does not say its pictures' times gets the newest map, which is ahead by the time in the network.
    const own = ticks === null ? [...this.waiting.values()].pop() : this.waiting.get(ticks);
    this.missing = own ? null : ticks;
    if (ticks !== null) { this.unknown = 0; }
    if (own) { this.present(own); }
    return Boolean(own);
  }
}

function gathered(connection) { // addresses of this host alone: it takes a moment
  if (connection.iceGatheringState === "complete") { return Promise.resolve(); }
  return new Promise((resume) => {
    setTimeout(resume, 1000);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") { resume(); }
    });
  });
}
