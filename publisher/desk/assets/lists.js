// The side of the page: lamps, today's counts, the to-do list, the last taps.

import { byId, h } from "./dom.js";
import { clock, faces, has, pick, say, short } from "./words.js";

export function lamps(state) {
  const items = state.readers.map((r) => {
    const face = faces[r.show];
    const ok = ["ready", "held", "found", "reading", "place_again", "not_id_card", "unreadable"].includes(r.phase);
    const tone = ok ? "good" : r.phase === "starting" ? "busy" : "bad";
    return lamp(tone, r.label || r.name, r.model || "", ok ? "" : pick(face.title));
  });
  const bus = state.bus;
  if (bus) {
    const key = bus.problem ? "bus.problem" : "bus." + bus.mode;
    const tone = bus.problem ? "bad" : { local: "idle", connected: "good", connecting: "busy", away: "look" }[bus.mode];
    const waits = bus.mode !== "local" && state.queue && state.queue.waiting ? say("waiting", { n: state.queue.waiting }) : "";
    items.push(lamp(tone, say("bus"), say(key + ".more") + (bus.problem ? " (" + bus.problem + ")" : ""), [say(key), waits].filter(Boolean).join(" · ")));
  }
  byId("lamps").replaceChildren(...items);
  byId("damaged").hidden = !(state.queue && state.queue.damaged);
}

const lamp = (tone, name, title, text) =>
  h("li.lamp", { "data-tone": tone, title: title || undefined }, h("span.dot", { "aria-hidden": "true" }), name, text ? h("span.state", {}, text) : undefined);

export function today(t) {
  const rows = [["accepted", Math.max(0, t.accepted - t.cancelled)], ["flagged", t.flagged], ["repeat", t.repeat], ["refused", t.refused]];
  if (t.failed) rows.push(["failed", t.failed]);
  rows.push(["settled", t.confirmed + t.corrected]);
  if (t.cancelled) rows.push(["cancelled", t.cancelled]);
  byId("today").replaceChildren(...rows.map(([key, n]) => h("div", { "data-count": key }, h("dt", {}, say("today." + key)), h("dd", {}, String(n)))));
}

export function todo(items, count, review) {
  byId("todo").replaceChildren(...items.map((t) => h("li", { "data-id": t.id },
    h("time", { datetime: t.at }, short(t.at)),
    h("span.what", {}, h("b.name", {}, t.label || say("kind." + (t.kind || "unknown"))), h("span.why", {}, why(t))),
    h("button", { type: "button", "aria-label": say("look_at", { time: short(t.at), label: t.label || "" }), click: () => review(t) }, say("compare")))));
  byId("todo-count").textContent = count || "";
  byId("todo-note").textContent = !count ? say("todo.none") : count > items.length ? say("todo.more", { n: count - items.length }) : "";
}

const why = (t) => t.findings.filter((f) => f.severity !== "info" && has("finding." + f.code)).map((f) => say("finding." + f.code)).join(document.documentElement.lang === "en" ? "; " : "；");

const tones = { accepted: "good", repeat: "info", refused: "bad", full: "bad", failed: "bad" };

export function last(items, review) {
  byId("last").replaceChildren(...items.map((t) => {
    const text = t.decided ? say("decided." + t.decided) : say(t.open ? "todo" : "outcome." + t.outcome);
    const tone = t.open ? "look" : t.decided === "cancelled" ? "info" : tones[t.outcome];
    const opens = t.outcome === "accepted" && t.id && t.decided !== "cancelled";
    return h("li", { "data-tone": tone, "data-outcome": t.outcome },
      h("time", { datetime: t.at }, clock(t.at)), h("span.dot", { "aria-hidden": "true" }),
      h("span.what", {}, text, t.label ? h("b.name", {}, t.label) : undefined),
      opens ? h("button.quiet", { type: "button", "aria-label": say("open_at", { time: short(t.at), label: t.label || "" }), click: () => review(t) }, say("open")) : undefined);
  }));
  byId("last-note").textContent = items.length ? "" : say("last.none");
}
