// The clerk's page: follows the live stream and shows it.

import { byId } from "./dom.js";
import { faces, pick, say, short, switchLanguage, translate } from "./words.js";
import { follow } from "./stream.js";
import { onTokenNeeded } from "./api.js";
import * as lists from "./lists.js";
import * as panels from "./panels.js";
import * as reviews from "./review.js";
import * as sound from "./sound.js";

const state = { readers: [] };
let boot = "";

// take merges a snapshot or a change: a key that is there replaces ours, readers
// go by name.
function take(name, news) {
  const snapshot = name === "snapshot";
  if (snapshot) {
    state.readers = news.readers || [];
    if (boot && boot !== news.boot) reviews.recallSession().catch(() => {});
    boot = news.boot;
  }
  for (const key of ["desk", "queue", "bus", "today", "last", "todo", "todo_count"]) if (key in news) state[key] = news[key];
  for (const view of news.readers || []) {
    const i = state.readers.findIndex((r) => r.name === view.name);
    if (i < 0) state.readers.push(view);
    else state.readers[i] = view;
  }
  clearTimeout(gone);
  gone = undefined;
  document.body.classList.remove("stale");
  tab();
  panels.render(snapshot ? state.readers : news.readers || [], snapshot);
  side(snapshot ? state : news);
  byId("board").setAttribute("aria-busy", "false");
}

// tab tells the newest result in the browser's tab, for clerks who work in
// another system's window.
const plain = document.title;
const signs = { good: "✓ ", look: "! ", bad: "✕ " };
function tab() {
  const newest = state.readers.filter((r) => r.tap).sort((a, b) => (a.tap.at < b.tap.at ? 1 : -1))[0];
  const told = newest || state.readers.find((r) => faces[r.show].tone === "bad");
  const face = told && faces[told.show];
  document.title = face ? (signs[face.tone] || "") + pick(face.title) + (newest ? " " + short(newest.tap.at) : "") + " · " + plain : plain;
  document.querySelector("link[rel=icon]").href = "/assets/icon" + (face && signs[face.tone] ? "-" + face.tone : "") + ".svg";
}

function side(news) {
  if (news.desk) byId("demo").hidden = !news.desk.test;
  if (news.readers || news.bus || news.queue) lists.lamps(state);
  if (news.today) lists.today(state.today);
  if (news.todo) lists.todo(state.todo, state.todo_count, reviews.review);
  if (news.last) lists.last(state.last, reviews.review);
}

// A stream that breaks off is said only when it does not come back at once.
let gone;
function lost() {
  byId("board").setAttribute("aria-busy", "true");
  if (gone !== undefined) return;
  gone = setTimeout(() => {
    document.body.classList.add("stale");
    panels.offline();
  }, 1500);
}

function redraw() {
  translate();
  toolbar();
  panels.redraw();
  side(state);
}

function toolbar() {
  const on = sound.soundOn();
  byId("sound").setAttribute("aria-pressed", String(on));
  byId("sound").textContent = say(on ? "sound.on" : "sound.off");
  const asked = document.activeElement === byId("unblock");
  byId("unblock").hidden = !sound.blocked();
  byId("sound").hidden = sound.blocked();
  if (asked && !sound.blocked()) byId("sound").focus();
  byId("language").setAttribute("aria-label", say("language.label"));
  const who = reviews.operator();
  byId("sign").textContent = who ? who + " · " + say("sign_out") : say("sign_in");
}

// listsOpen shows or hides the lists that a small window has no room for.
function listsOpen(open) {
  byId("board").classList.toggle("open", open);
  byId("lists").setAttribute("aria-expanded", String(open));
  byId("lists").textContent = say(open ? "lists.close" : "lists");
}

const tell = (text) => { byId("polite").textContent = text; toast(text); };

let fading;
function toast(text) {
  const node = byId("toast");
  node.textContent = text;
  node.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { node.hidden = true; }, 5000);
}

onTokenNeeded(reviews.askToken);
// The next record opens by itself after a decision on the to-do list.
reviews.setUp(toolbar, tell, (tap) => (state.todo || []).find((t) => t.id !== tap.id));
panels.setUp(reviews.review, async (failure) => {
  if (failure.code === "sign_in_required") await reviews.signIn();
  else tell(reviews.message(failure));
});
byId("sound").addEventListener("click", () => { sound.setSound(!sound.soundOn()); toolbar(); });
byId("language").addEventListener("click", () => { switchLanguage(); redraw(); });
byId("lists").addEventListener("click", () => listsOpen(!byId("board").classList.contains("open")));
document.addEventListener("keydown", (e) => { if (e.key === "Escape" && !document.querySelector("dialog")) listsOpen(false); });
byId("sign").addEventListener("click", () => (reviews.operator() ? reviews.signOut() : reviews.signIn()).catch(() => {}));
translate();
sound.start(toolbar);
toolbar();
reviews.recallSession().catch(() => {});
follow(take, lost);
