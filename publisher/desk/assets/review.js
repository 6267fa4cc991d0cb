// The dialogs: compare with the card, correct, cancel, sign in, access token.

import { h } from "./dom.js";
import { has, say, settings } from "./words.js";
import { decide, photo, reveal, session } from "./api.js";
import { correctionForm } from "./correct.js";
import { fields, kindLine, label, lines } from "./person.js";

const idle = 120000; // an open dialog shows personal data: it closes by itself

let who = ""; // operator signed in
let changed = () => {};
let tell = () => {};
let next = () => undefined; // the to-do item after one

export const operator = () => who;

export function setUp(onChanged, onTell, afterThat) {
  changed = onChanged;
  tell = onTell;
  next = afterThat;
}

export function message(failure) {
  const key = "error." + failure.code;
  return say(has(key) ? key : "error.other");
}

// open shows a modal dialog; its content leaves the page when it closes.
function open(title, build, style) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const dialog = h("dialog" + (style || ""), { "aria-labelledby": "dialog-title" });
  const problem = h("p.problem", { role: "alert" });
  const body = h("form.body", { method: "dialog", autocomplete: "off" });
  let timer;
  const rearm = () => { clearTimeout(timer); timer = setTimeout(() => dialog.close(), idle); };
  const done = new Promise((resolve) => dialog.addEventListener("close", () => {
    clearTimeout(timer);
    dialog.remove();
    resolve(dialog.returnValue);
  }));
  for (const event of ["pointermove", "keydown"]) dialog.addEventListener(event, rearm);
  dialog.append(heading, body, problem);
  document.body.append(dialog);
  const control = {
    body, done, heading,
    close: (value) => dialog.close(value || ""),
    fail: (failure) => {
      problem.textContent = message(failure);
      const at = failure.field && body.querySelector('[name="' + failure.field + '"]');
      if (!at) return;
      problem.textContent = at.dataset.label + "：" + problem.textContent;
      at.setAttribute("aria-invalid", "true");
      at.focus();
    },
    // act runs a request once at a time and shows what went wrong.
    act: async (work) => {
      problem.textContent = "";
      dialog.setAttribute("aria-busy", "true");
      const open = [...dialog.querySelectorAll("button")].filter((b) => !b.disabled);
      for (const b of open) b.disabled = true;
      try {
        return await work();
      } catch (e) {
        control.fail(e);
        return undefined;
      } finally {
        dialog.removeAttribute("aria-busy");
        for (const b of open) b.disabled = false;
      }
    },
  };
  build(control);
  dialog.showModal();
  rearm();
  return control;
}

const button = (style, text, click) => h("button" + style, { type: "button", click }, text);

// review compares a record with the card and takes the decision.
export async function review(tap) {
  if (settings.pin && !who && !(await signIn())) return;
  let full;
  try {
    full = (await reveal(tap.id)).data;
  } catch (e) {
    if (e.code === "sign_in_required") {
      who = "";
      changed();
      if (await signIn()) return review(tap);
      return;
    }
    tell(message(e));
    return;
  }
  open(say("review"), (d) => compare(d, tap, full));
}

function compare(d, tap, full) {
  d.heading.textContent = say("review");
  const lead = tap.decided ? say("review.done") + say("decided." + tap.decided) : say(tap.quarantined ? "review.unsent" : "review.lead");
  const why = tap.findings.filter((f) => f.severity !== "info" && has("finding." + f.code));
  const confirmable = tap.open;
  // Confirming is a deliberate act: each doubted field is ticked first, so that a
  // stray Enter of a scanner or of the last dialog confirms nothing.
  const ticks = confirmable ? doubts(tap, full) : [];
  const confirm = button(".primary", say("confirm"), () => settle(d, tap, "confirm", {}));
  confirm.disabled = true;
  for (const t of ticks) t.querySelector("input").addEventListener("change", () => { confirm.disabled = ticks.some((x) => !x.querySelector("input").checked); });
  const actions = h("div.actions", {},
    confirmable ? confirm : undefined,
    tap.quarantined ? undefined : button("", say("correct"), () => correct(d, tap, full)),
    button("", say("cancel"), () => cancel(d, tap, full)),
    button(".quiet", say("close"), () => d.close()));
  d.body.replaceChildren(
    h("p.lead", {}, lead),
    why.length ? h("ul.why", {}, ...why.map((f) => h("li", {}, say("finding." + f.code)))) : "",
    h("div.card", {}, portrait(tap), h("div.printed", {}, h("p.kind", {}, kindLine(full)), lines(full, true, tap.decided ? [] : tap.findings))),
    ticks.length ? h("fieldset.ticks", {}, h("legend", {}, say("ticks")), ...ticks) : "",
    who || !confirmable || !settings.pin ? "" : h("p.note", {}, say("not_signed_in")),
    actions);
  if (ticks.length) focusSoon(ticks[0].querySelector("input"));
}

// focusSoon moves the focus once the dialog is there: showModal puts it on the
// first control.
const focusSoon = (node) => setTimeout(() => node.isConnected && node.focus(), 0);

// doubts are the boxes to tick, one for each doubted field that shows.
function doubts(tap, full) {
  const paths = new Set(tap.findings.filter((f) => f.severity !== "info").map((f) => f.field));
  const doubted = fields.filter((f) => paths.has(f.path)).map((f) => label(full, f));
  return (doubted.length ? doubted : [say("tick.all")]).map((text) =>
    h("label.choice", {}, h("input", { type: "checkbox" }), say("tick", { field: text })));
}

// portrait shows the decoded photo, or asks to look at the printed one.
function portrait(tap) {
  const plain = h("p.photo", {}, say("photo.compare"));
  if (!settings.photo || !tap.photo) return plain;
  const box = h("div.photo", { "aria-busy": "true" });
  photo(tap.id).then((blob) => {
    const source = URL.createObjectURL(blob);
    box.replaceChildren(h("img", { src: source, alt: say("photo"), width: 153, height: 189, load: () => URL.revokeObjectURL(source) }));
  }).catch(() => box.replaceWith(plain)).finally(() => box.removeAttribute("aria-busy"));
  return box;
}

async function settle(d, tap, verb, body) {
  const answer = await d.act(() => decide(tap.id, verb, body));
  if (!answer) return;
  d.close("settled");
  const after = verb === "cancel" ? undefined : next(tap);
  if (after) setTimeout(() => review(after), 300);
  tell(say("said." + { confirm: "confirmed", correct: "corrected", cancel: "cancelled" }[verb]));
}

function correct(d, tap, full) {
  d.heading.textContent = say("correct");
  const form = correctionForm(tap, full);
  d.body.replaceChildren(
    h("p.lead", {}, say("correct.lead")),
    form.node,
    h("div.actions", {},
      button(".primary", say("correct.save"), () => {
        const { changes, reason, failure } = form.read();
        if (failure) d.fail(failure);
        else settle(d, tap, "correct", { reason, changes });
      }),
      button(".quiet", say("back"), () => compare(d, tap, full))));
  form.first.focus();
}

function cancel(d, tap, full) {
  d.heading.textContent = say("cancel");
  const choices = ["wrong_person", "test_tap", "withdrawal", "discarded"].map((reason) =>
    h("label.choice", {}, h("input", { type: "radio", name: "cancel", value: reason }), say("cancel." + reason)));
  const note = h("input", { id: "in-note", maxlength: 200, autocomplete: "off" });
  d.body.replaceChildren(
    h("p.lead", {}, say("cancel.lead")),
    h("fieldset", {}, h("legend", {}, say("reason")), ...choices),
    h("div.inputs", {}, h("div.wide", {}, h("label", { for: "in-note" }, say("note")), note)),
    h("div.actions", {},
      button(".danger", say("cancel.save"), () => {
        const chosen = d.body.querySelector("input[name=cancel]:checked");
        if (chosen) settle(d, tap, "cancel", { reason: chosen.value, note: note.value.trim() });
        else d.fail({ code: "no_reason" });
      }),
      button(".quiet", say("back"), () => compare(d, tap, full))));
  d.body.querySelector("input").focus();
}

// prompt asks for one secret and hands it to use; it answers whether that worked.
async function prompt(title, lead, label, use) {
  const d = open(title, (d) => {
    const input = h("input", { id: "in-secret", type: "password", autocomplete: "off", required: true, maxlength: 200 });
    const send = async (e) => {
      e.preventDefault();
      if (await d.act(() => use(input.value))) d.close("done");
      else input.select();
    };
    d.body.addEventListener("submit", send);
    d.body.append(h("p.lead", {}, lead), h("div.inputs", {}, h("div.wide", {}, h("label", { for: "in-secret" }, label), input)),
      h("div.actions", {}, h("button.primary", { type: "submit" }, title), button(".quiet", say("close"), () => d.close())));
  }, ".small");
  return (await d.done) === "done";
}

export function signIn() {
  return prompt(say("sign_in"), say("sign_in.lead"), say("pin"), async (pin) => {
    const s = await session("POST", { pin });
    who = s.operator;
    changed();
    return true;
  });
}

export async function signOut() {
  await session("DELETE", {});
  who = "";
  changed();
}

// recallSession asks who is signed in on this page, e.g. after a reload.
export async function recallSession() {
  if (!settings.pin) return;
  const s = await session("GET");
  who = s.operator || "";
  changed();
}

export async function askToken() {
  let token = "";
  await prompt(say("token"), say("token.lead"), say("token"), async (value) => { token = value.trim(); return true; });
  return token;
}
