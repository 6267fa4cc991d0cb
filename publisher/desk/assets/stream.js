// The live stream (Server-Sent Events), read with fetch: the page shows its
// ticket in a header and sees the beats, so that a connection which died
// silently is noticed.

import { ask } from "./api.js";

const silence = 25000; // two beats and a half

// follow calls on(name, state) for each event and lost() when the stream ends;
// it reconnects for ever.
export async function follow(on, lost) {
  for (let wait = 0; ; wait = Math.min(wait + 500, 2000)) {
    await new Promise((done) => setTimeout(done, wait));
    const abort = new AbortController();
    let watch = setTimeout(() => abort.abort(), silence);
    try {
      const response = await ask("GET", "/api/v1/events", undefined, abort.signal);
      const reader = response.body.getReader();
      const utf8 = new TextDecoder();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(watch);
        watch = setTimeout(() => abort.abort(), silence);
        const blocks = (rest + utf8.decode(value, { stream: true })).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          let name = "";
          let body = "";
          for (const line of block.split("\n")) {
            if (line.startsWith("event: ")) name = line.slice(7);
            else if (line.startsWith("data: ")) body += line.slice(6);
          }
          if (name === "snapshot") wait = 0;
          if (name && name !== "beat") on(name, JSON.parse(body));
        }
      }
    } catch (e) { /* said by lost */ }
    clearTimeout(watch);
    lost();
  }
}
