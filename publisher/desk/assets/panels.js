// One panel per reader: the large state, what to do now, what was read.

import { byId, h, icon } from "./dom.js";
import { clock, faces, has, pick, say, short } from "./words.js";
import { person } from "./person.js";
import { play } from "./sound.js";

const panels = new Map(); // reader name -> {node, view}
let active = ""; // the reader whose panel is large where they have no room side by side
const small = matchMedia("(max-width: 64rem), (max-height: 34rem)");
small.addEventListener("change", place);
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
    if (!snapshot && news(known && known.view, view)) {
      // What all readers say at once, a full disk, pushes no result aside.
      if (faces[view.show].tone !== "idle" && (view.tap || view.show !== "disk_full")) active = view.name;
      announce(view);
    }
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
    panel.node = draw({ name: panel.view.name, label: panel.view.label, show: "offline" }, faces.offline);
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
  box.toggleAttribute("data-folded", nodes.length > 2 || nodes.length === 2 && small.matches);
  if (!panels.has(active)) active = newest();
  for (const [name, p] of panels) p.node.toggleAttribute("data-active", name === active);
}

// newest is the reader with the newest result, else one that shows anything but
// readiness, else the first.
function newest() {
  let best;
  for (const p of panels.values()) {
    const rank = (v) => (v.tap ? v.tap.at : faces[v.show].tone === "idle" ? "" : "0");
    if (!best || rank(p.view) > rank(best)) best = p.view;
  }
  return best ? best.name : "";
}

// enlarge makes a reader's panel the large one.
function enlarge(name) {
  active = name;
  place();
}

// news reports whether a panel shows something that it did not show before.
function news(before, now) {
  return !before || before.show !== now.show || (before.tap && before.tap.at) !== (now.tap && now.tap.at);
}

function announce(view) {
  const face = faces[view.show];
  speak(face, panels.size > 1 ? (view.label || view.name) + ": " : "");
  const tap = view.tap;
  play(face.sound === "good" && tap && tap.data && marks(tap.data).length ? "remind" : face.sound);
}

function speak(face, who) {
  byId(face.tone === "bad" || face.tone === "look" ? "urgent" : "polite").textContent = who + pick(face.title) + (document.documentElement.lang === "en" ? ". " : "。") + pick(face.do);
}

// marks are what a clerk must not overlook on a good result.
function marks(data) {
  const out = [];
  if (data.document.status === "expired") out.push(say("badge.expired"));
  if (data.document.status === "not_yet_valid") out.push(say("badge.not_yet_valid"));
  if (data.person.under_14) out.push(say("badge.under_14"));
  return out;
}

function draw(view, face) {
  const tap = view.tap;
  const head = h("div.head", {}, h("span.name", {}, view.label || view.name));
  if (tap) head.append(h("time.when", { datetime: tap.at }, clock(tap.at)));
  head.append(h("button.pick", { type: "button", "aria-label": say("enlarge") + " " + (view.label || view.name), click: () => enlarge(view.name) }));
  const stated = h("div.face", {}, icon(face.icon), h("h2.title", {}, pick(face.title)), h("p.do", {}, pick(face.do)));
  const badges = tap && tap.data ? marks(tap.data) : [];
  if (badges.length) stated.insertBefore(h("ul.badges", {}, ...badges.map((b) => h("li", {}, b))), stated.querySelector(".do"));
  if (tap && tap.earlier) stated.append(h("p.aside", {}, say("earlier", { time: short(tap.earlier) })));
  if (tap && tap.given) stated.append(h("p.aside", {}, say("given", { origin: tap.given.join(", ") })));
  if (tap && tap.decided) stated.append(h("p.aside", {}, say("decided." + tap.decided)));
  if (tap && tap.open) stated.append(h("button.primary.compare", { type: "button", click: () => review(tap) }, say("compare")));
  const node = h("section.panel", { "aria-label": view.label || view.name || pick(face.title), "data-reader": view.name, "data-face": view.show, "data-tone": face.tone }, head, stated);
  if (!tap) return node;
  const wanted = face.tone === "look" || face.tone === "bad" ? tap.findings.filter((f) => f.severity !== "info" && has("finding." + f.code)) : [];
  if (wanted.length) node.append(h("ul.why", {}, ...wanted.map((f) => h("li", { "data-code": f.code }, say("finding." + f.code)))));
  const foot = h("div.foot");
  if (tap.data) foot.append(person(tap, failed));
  if (foot.children.length) node.append(foot);
  return node;
}
