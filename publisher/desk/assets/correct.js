// The correction form: every field that the kind of document has, as the card
// prints it, the doubted one first in focus.

import { h } from "./dom.js";
import { language, say } from "./words.js";
import { fields, label, raw } from "./person.js";

// has lists the correctable fields of a kind. The printed address is the chip's
// own and never corrected; the newest is.
const common = ["person.name", "person.sex", "person.birth_date", "document.number", "document.valid_from", "document.valid_to"];
const has = {
  resident: [...common, "person.ethnic", "hukou.address", "hukou.division", "document.issuing_authority"],
  hmt_permit: [...common, "residence.card_address", "document.issuing_authority"],
  foreign_pr_2017: [...common, "person.name_en", "person.nationality"],
  foreign_pr_2023: [...common, "person.name_en", "person.nationality"],
};

// ethnic groups of GB/T 3304, code 01 on.
const ethnic = ("汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 柯尔克孜 土 " +
  "达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺").split(" ")
  .map((name, i) => [String(i + 1).padStart(2, "0"), name]).concat([["97", "其他"], ["98", "外国血统中国籍人士"]]);
const sexes = () => [["1", say("sex.1")], ["2", say("sex.2")]];

// iso takes a date as people write it (19820102, 1982.1.2, 1982年1月2日) to
// 1982-01-02; anything else stays as it is, for the server to refuse.
export function iso(text) {
  const m = /^(\d{4})(?:\D*)(\d{1,2})(?:\D+)(\d{1,2})\D*$/.exec(text) || /^(\d{4})(\d{2})(\d{2})$/.exec(text);
  return m ? m[1] + "-" + m[2].padStart(2, "0") + "-" + m[3].padStart(2, "0") : text;
}

function choice(id, options, chosen) {
  const list = options.map(([code, name]) => h("option", { value: code, selected: code === chosen }, language() === "zh" ? name : code + " " + name));
  return h("select", { id }, h("option", { value: "", selected: !chosen }, ""), ...list);
}

// control is the input of one field and how it is read: {node, input, read}.
function control(field, full) {
  const id = "in-" + field.path;
  const old = raw(full, field);
  if (field.coded) {
    const input = choice(id, field.path === "person.sex" ? sexes() : ethnic, old);
    return { node: input, input, read: () => input.value, old };
  }
  const input = h("input" + (field.name ? ".name" : field.number ? ".number" : ""), { id, value: old, maxlength: 200, autocomplete: "off", spellcheck: "false" });
  if (field.path === "document.valid_to") {
    const forever = full.document.long_term === true;
    const tick = h("input", { type: "checkbox", id: id + "-long", checked: forever });
    const follow = () => { input.disabled = tick.checked; };
    tick.addEventListener("change", follow);
    follow();
    return { node: h("div", {}, input, h("label.choice", { for: id + "-long" }, tick, say("long_term"))), input,
      read: () => (tick.checked ? forever ? old : "long" : iso(input.value.trim())), old };
  }
  return { node: input, input, read: () => (field.date ? iso(input.value.trim()) : input.value.trim()), old };
}

export function correctionForm(tap, full) {
  const doubted = tap.findings.filter((f) => f.severity !== "info").map((f) => f.field);
  const offered = has[full.document.kind] || common;
  const controls = fields.filter((f) => offered.includes(f.path)).map((f) => {
    const c = { field: f, ...control(f, full) };
    c.input.name = f.path;
    c.input.dataset.label = label(full, f);
    c.input.addEventListener("input", () => c.input.removeAttribute("aria-invalid"));
    return c;
  });
  const rows = controls.map((c) => h("div" + (c.field.wide ? ".wide" : "") + (doubted.includes(c.field.path) ? ".doubt" : ""), {},
    h("label", { for: "in-" + c.field.path }, c.input.dataset.label), c.node));
  const reason = h("select", { id: "in-reason", name: "reason" }, h("option", { value: "" }, say("reason.choose")),
    ...["reason.rare", "reason.cut", "reason.differs"].map((key) => h("option", {}, say(key))));
  reason.dataset.label = say("reason");
  const node = h("div.inputs", {}, ...rows, h("div.wide", {}, h("label", { for: "in-reason" }, say("reason")), reason));
  return {
    node,
    first: (controls.find((c) => doubted.includes(c.field.path)) || controls[0]).input,
    read() {
      const changes = controls.filter((c) => c.read() !== c.old).map((c) =>
        c.read() === "long" && c.field.path === "document.valid_to" ? { field: "document.long_term", new: "true" } : { field: c.field.path, new: c.read() });
      if (!changes.length) return { failure: { code: "nothing_changed" } };
      if (!reason.value) return { failure: { code: "no_reason", field: "reason" } };
      return { changes, reason: reason.value };
    },
  };
}
