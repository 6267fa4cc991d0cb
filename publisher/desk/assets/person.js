// What was read: masked lines, and the whole while the reveal button is held.

import { h } from "./dom.js";
import { say, has } from "./words.js";
import { reveal } from "./api.js";

// fields of a record in the order of the card, by path in its data. Those
// marked brief stand on the panel.
export const fields = [
  { path: "person.name", brief: true, name: true },
  { path: "person.name_en", brief: true },
  { path: "person.sex", brief: true, coded: true },
  { path: "person.ethnic", coded: true },
  { path: "person.nationality" },
  { path: "person.birth_date" },
  { path: "hukou.address", brief: true, wide: true },
  { path: "residence.card_address", wide: true },
  { path: "document.number", brief: true, number: true },
  { path: "document.issuing_authority", wide: true },
  { path: "document.valid_from" },
  { path: "document.valid_to" },
];

const at = (data, path) => path.split(".").reduce((o, key) => (o ? o[key] : undefined), data);

export function value(data, field) {
  const v = at(data, field.path);
  if (field.coded) return v ? v.label || v.code : "";
  if (field.path === "document.valid_to" && v === null) return say("long_term");
  return v || "";
}

// raw is the value as a correction gives it: of coded fields the code.
export const raw = (data, field) => (field.coded ? (at(data, field.path) || {}).code : at(data, field.path)) || "";

// lines shows the fields that have a value; those that a finding doubts are
// marked.
export function lines(data, all, findings) {
  const list = h("dl.fields");
  const doubted = (findings || []).filter((f) => f.severity !== "info").map((f) => f.field);
  for (const field of fields) {
    const text = value(data, field);
    if (!text || !(all || field.brief)) continue;
    const style = field.name ? ".name" : field.number ? ".number" : "";
    const row = "div" + (field.wide ? ".wide" : field.number ? ".long" : "") + (doubted.includes(field.path) ? ".doubt" : "");
    list.append(h(row, {}, h("dt", {}, say("field." + field.path)), h("dd" + style, {}, text)));
  }
  return list;
}

export function kindLine(data) {
  const parts = [say("kind." + data.document.kind)];
  if (has("status." + data.document.status)) parts.push(say("status." + data.document.status));
  return parts.join(" · ");
}

// person shows a tap's data with a button that reveals it while held down, by
// pointer, Space or Enter.
export function person(tap, failed) {
  const box = h("div.person");
  const data = tap.data;
  const shown = h("div.shown", {}, lines(data, !tap.masked));
  box.append(h("p.kind", {}, kindLine(data)), shown);
  if (!tap.masked || !tap.id) return box;
  let held = 0;
  const hide = () => {
    held++;
    if (button.getAttribute("aria-pressed") === "false") return;
    button.setAttribute("aria-pressed", "false");
    shown.replaceChildren(lines(data, false));
  };
  const show = async () => {
    const mine = ++held;
    button.setAttribute("aria-pressed", "true");
    try {
      const full = await reveal(tap.id);
      if (mine === held) shown.replaceChildren(lines(full.data, true));
    } catch (e) {
      hide();
      failed(e);
    }
  };
  const key = (e) => e.key === " " || e.key === "Enter";
  const button = h("button.reveal", {
    type: "button", "aria-pressed": "false",
    pointerdown: (e) => { button.setPointerCapture(e.pointerId); show(); },
    pointerup: hide, pointercancel: hide, lostpointercapture: hide, blur: hide, contextmenu: (e) => e.preventDefault(),
    keydown: (e) => { if (key(e)) { e.preventDefault(); if (!e.repeat) show(); } },
    keyup: (e) => { if (key(e)) hide(); },
  }, say("reveal"));
  box.append(button);
  return box;
}
