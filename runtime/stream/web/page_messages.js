// Messages as `frame_message` writes them: length of the header | header | JPEG | PNG.

function headOf(bytes, length) {
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
}

function lengthOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

export function parse(bytes) {
  const length = lengthOf(bytes), head = headOf(bytes, length);
  const jpeg = bytes.slice(4 + length, 4 + length + head.jpeg);
  const map = bytes.slice(4 + length + head.jpeg, 4 + length + head.jpeg + head.map);
  return { head, jpeg, map };
}

export async function* messages(reader) {
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
        const all = peek(), length = lengthOf(all);
        if (held < 4 + length) { break; }
        const head = headOf(all, length);
        wanted = 4 + length + head.jpeg + head.map;
      }
      if (wanted < 0 || held < wanted) { break; }
      const bytes = take(wanted);
      wanted = -1;
      yield bytes;
    }
  }
}

// Why an answer is none: its error, or its text.
export async function reason(answer) {
  const text = await answer.text();
  try { return JSON.parse(text).error; } catch (error) { return text.trim(); }
}
