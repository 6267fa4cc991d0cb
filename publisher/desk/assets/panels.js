// One panel per reader: the large state, what to do now, what was read.

import { byId, h, icon } from "./dom.js";
import { clock, faces, has, pick, say, short } from "./words.js";
import { person } from "./person.js";
import { play } from "./sound.js";

const panels = new Map(); // reader name -> {node, view}
let review = () => {};
let failed = () => {};

export function setUp(onReview, onFailed) {
  review = onReview;
  failed = onFailed;
}

// render shows the readers of a change; a snapshot replaces them all.
export function render(readers, snapshot) {
  if (snapshot) {
    const names = readers.map((r) => r.name);
    for (const name of panels.keys()) if (!names.includes(name)) panels.delete(name);
  }
  for (const view of readers) {
    const known = panels.get(view.name);
    if (known && JSON.stringify(known.view) === JSON.stringify(view)) continue;
    const node = draw(view, faces[view.show]);
    if (known) known.node.replaceWith(node);
    panels.set(view.name, { node, view });
    if (!snapshot && news(known && known.view, view)) announce(view);
  }
  place();
}

// redraw draws everything anew, e.g. in another language.
export function redraw() {
  const views = [...panels.values()].map((p) => p.view);
  panels.clear();
  render(views, true);
}

// offline covers the panels: what happens is not seen any more.
export function offline() {
  for (const panel of panels.values()) {
    panel.node = draw({ name: panel.view.name, show: "offline" }, faces.offline);
    panel.view = { ...panel.view, show: "offline", tap: undefined };
  }
  place();
  if (!panels.size) byId("panels").replaceChildren(draw({ name: "", show: "offline" }, faces.offline));
  speak(faces.offline, "");
  play(faces.offline.sound);
}

function place() {
  const box = byId("panels");
  const nodes = [...panels.values()].map((p) => p.node);
  if (!nodes.length) nodes.push(draw({ name: "", show: "no_reader" }, faces.no_reader));
  if (nodes.length !== box.children.length || nodes.some((n, i) => box.children[i] !== n)) box.replaceChildren(...nodes);
  box.dataset.count = nodes.length;
}

// news reports whether a panel shows something that it did not show before.
function news(before, now) {
  return !before || before.show !== now.show || (before.tap && before.tap.at) !== (now.tap && now.tap.at);
}

function announce(view) {
  const face = faces[view.show];
  speak(face, panels.size > 1 ? view.name + ": " : "");
  play(face.sound);
}

function speak(face, who) {
  byId(face.tone === "bad" || face.tone === "look" ? "urgent" : "polite").textContent = who + pick(face.title) + (document.documentElement.lang === "en" ? ". " : "。") + pick(face.do);
}

function draw(view, face) {
  const tap = view.tap;
  const head = h("div.head", {}, h("span.name", {}, view.name));
  if (tap) head.append(h("time.when", { datetime: tap.at }, clock(tap.at)));
  const stated = h("div.face", {}, icon(face.icon), h("h2.title", {}, pick(face.title)), h("p.do", {}, pick(face.do)));
  if (tap && tap.earlier) stated.append(h("p.aside", {}, say("earlier", { time: short(tap.earlier) })));
  if (tap && tap.decided) stated.append(h("p.aside", {}, say("decided." + tap.decided)));
  const node = h("section.panel", { "aria-label": view.name || pick(face.title), "data-reader": view.name, "data-face": view.show, "data-tone": face.tone }, head, stated);
  if (!tap) return node;
  const wanted = face.tone === "look" || face.tone === "bad" ? tap.findings.filter((f) => f.severity !== "info" && has("finding." + f.code)) : [];
  if (wanted.length) node.append(h("ul.why", {}, ...wanted.map((f) => h("li", { "data-code": f.code }, say("finding." + f.code)))));
  const foot = h("div.foot");
  if (tap.data) foot.append(person(tap, failed));
  if (tap.open) foot.append(h("button.primary.compare", { type: "button", click: () => review(tap) }, say("compare")));
  if (foot.children.length) node.append(foot);
  return node;
}
