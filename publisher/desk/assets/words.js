// Texts of the page in both languages, as the server sent them.

const data = JSON.parse(document.getElementById("page-data").textContent);

export const settings = { pin: data.pin, photo: data.photo, mask: data.mask, regions: data.regions };
export const faces = data.faces;

const remembered = () => {
  try { return localStorage.getItem("lang"); } catch (e) { return null; }
};

let lang = remembered() || data.lang;

export const language = () => lang;

export function switchLanguage() {
  lang = lang === "en" ? "zh" : "en";
  try { localStorage.setItem("lang", lang); } catch (e) { /* private window */ }
}

// pick chooses from a {zh, en} pair.
export const pick = (words) => words[lang];

// say gives a text, with {name} filled in.
export function say(key, fill) {
  const words = data.texts[key];
  if (!words) return key;
  let text = words[lang];
  for (const name in fill) text = text.replace("{" + name + "}", fill[name]);
  return text;
}

export const has = (key) => key in data.texts;

// clock shows a moment as hours, minutes and seconds of the desk's time zone:
// the times of the state carry its offset.
export const clock = (time) => (time || "").slice(11, 19);

export const short = (time) => (time || "").slice(11, 16);

// translate puts the fixed texts of the page into the language.
export function translate() {
  document.documentElement.lang = lang === "en" ? "en" : "zh-CN";
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = say(node.dataset.text);
}
