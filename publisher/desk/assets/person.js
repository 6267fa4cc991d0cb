// What was read: masked lines, and the whole while the reveal button is held.

import { h } from "./dom.js";
import { language, say, has, settings } from "./words.js";
import { reveal } from "./api.js";

// fields of a record in the order of the card, by path in its data. Those
// marked brief stand on the panel.
export const fields = [
  { path: "person.name", brief: true, name: true },
  { path: "person.name_en", brief: true },
  { path: "person.sex", brief: true, coded: true },
  { path: "person.ethnic", coded: true },
  { path: "person.nationality" },
  { path: "person.birth_date", date: "long" },
  { path: "hukou.printed_address", wide: true },
  { path: "hukou.address", brief: true, wide: true },
  { path: "hukou.division" },
  { path: "residence.card_address", wide: true },
  { path: "document.number", brief: true, number: true },
  { path: "document.issuing_authority", wide: true },
  { path: "document.valid_from", date: "dots" },
  { path: "document.valid_to", date: "dots" },
];

// shownIn leaves out what says nothing: the printed address where the newest is
// the printed one, the division beside its address unless it is doubted.
function shownIn(data, field, doubted) {
  const h = data.hukou || {};
  if (field.path === "hukou.printed_address") return !!h.printed_address && h.printed_address !== h.address;
  if (field.path === "hukou.division") return doubted;
  return true;
}

// label names a field as the card does: 公民身份号码 on a resident card, and the
// newest address as an appended one where the printed one is another.
export function label(data, field) {
  const kind = data.document && data.document.kind;
  if (field.number && kind === "resident") return say("field.document.number.resident");
  if (field.path === "hukou.address" && data.hukou && data.hukou.printed_address && data.hukou.printed_address !== data.hukou.address) return say("field.hukou.appended");
  return say("field." + field.path);
}

// dated writes a date as cards print it: 1949年12月31日 for a birth, 2010.01.01
// for a term.
function dated(text, style) {
  const [y, m, d] = text.split("-");
  if (!d) return text;
  return style === "long" && language() === "zh" ? y + "年" + Number(m) + "月" + Number(d) + "日" : style === "dots" ? y + "." + m + "." + d : text;
}

// nation names a nationality in the page's language.
function nation(alpha3) {
  const alpha2 = settings.regions[alpha3];
  if (!alpha2) return alpha3;
  try {
    return new Intl.DisplayNames([language() === "zh" ? "zh-CN" : "en"], { type: "region" }).of(alpha2) + " (" + alpha3 + ")";
  } catch (e) {
    return alpha3;
  }
}

const at = (data, path) => path.split(".").reduce((o, key) => (o ? o[key] : undefined), data);

export function value(data, field) {
  const v = at(data, field.path);
  if (field.coded) return v ? v.label || v.code : "";
  if (field.path === "document.valid_to" && v === null) return say("long_term");
  if (field.date && v) return dated(v, field.date);
  if (field.path === "person.nationality" && v) return nation(v);
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
    const doubt = doubted.includes(field.path);
    if (!(text || doubt && all) || !(all || field.brief) || !shownIn(data, field, doubt)) continue;
    const style = field.name ? ".name" : field.number ? ".number" : "";
    const row = "div" + (field.wide ? ".wide" : field.number ? ".long" : "") + (doubt ? ".doubt" : "");
    list.append(h(row, {}, h("dt", {}, label(data, field)), h("dd" + style, {}, text || say("blank"))));
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
