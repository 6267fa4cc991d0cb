// Requests of the page. It shows itself by the ticket of its own HTML, which is
// renewed when the daemon was restarted meanwhile.

const store = {
  get: (key) => { try { return sessionStorage.getItem(key); } catch (e) { return null; } },
  set: (key, value) => { try { sessionStorage.setItem(key, value); } catch (e) { /* private window */ } },
};

const fresh = document.querySelector("meta[name=idtap-page]").content;
let ticket = store.get("ticket") || fresh;
store.set("ticket", ticket);

let promptToken = () => Promise.resolve("");
export const onTokenNeeded = (prompt) => { promptToken = prompt; };

let asking; // one dialog, however many requests wait for it
function askToken() {
  asking = asking || promptToken().finally(() => { asking = undefined; });
  return asking;
}

function headers() {
  const h = { "Idtap-Page": ticket };
  const token = store.get("token");
  if (token) h.Authorization = "Bearer " + token;
  return h;
}

// Failure carries the code of an error answer.
export class Failure extends Error {
  constructor(code, field, status) {
    super(code);
    this.code = code;
    this.field = field;
    this.status = status;
  }
}

async function renew() {
  const response = await fetch("/", { cache: "no-store", headers: headers() });
  const found = /name="idtap-page" content="([^"]+)"/.exec(await response.text());
  if (found) store.set("ticket", (ticket = found[1]));
}

// ask sends a request; a stale ticket is renewed once, a missing token asked for.
export async function ask(method, path, body, signal, again) {
  const init = { method, headers: headers(), cache: "no-store", signal };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch (e) {
    throw new Failure(e.name === "AbortError" ? "aborted" : "network");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (problem.error === "stale_page" && !again) {
    await renew();
    return ask(method, path, body, signal, true);
  }
  if (response.status === 401) {
    const token = await askToken();
    if (token) {
      store.set("token", token);
      return ask(method, path, body, signal, true);
    }
  }
  throw new Failure(problem.error || "other", problem.field, response.status);
}

const registration = (id, verb) => "/api/v1/registrations/" + encodeURIComponent(id) + "/" + verb;

export const decide = (id, verb, body) => ask("POST", registration(id, verb), body).then((r) => r.json());
export const reveal = (id) => ask("POST", registration(id, "reveal"), {}).then((r) => r.json());
export const photo = (id) => ask("POST", registration(id, "photo"), {}).then((r) => r.blob());
export const session = (method, body) => ask(method, "/api/v1/session", body).then((r) => r.json());
