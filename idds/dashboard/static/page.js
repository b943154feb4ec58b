// What every page has: the clock, light or dark, and, where the server asks for it, what is new on the page without loading it again.
import { clock } from "./format.js";
import { morph } from "./morph.js";

const body = document.body;

// The clock is the server's: screens have wrong ones.
const face = document.getElementById("clock");
let ahead = 0;
export function setClock(at) {
  const t = Date.parse(at);
  if (!Number.isNaN(t)) ahead = t - Date.now();
}
export const now = () => Date.now() + ahead;
if (face) {
  setClock(face.dateTime);
  setInterval(() => {
    const t = new Date(now());
    face.textContent = clock(t);
    face.dateTime = t.toISOString();
  }, 1000);
}

// Light, dark, or as the system has it.
const theme = document.getElementById("theme");
if (theme) {
  const words = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const next = { "": "light", light: "dark", dark: "" };
  const root = document.documentElement;
  const show = () => { theme.textContent = words[root.dataset.theme ?? ""]; };
  theme.hidden = false;
  show();
  theme.addEventListener("click", () => {
    const to = next[root.dataset.theme ?? ""];
    if (to) root.dataset.theme = to; else delete root.dataset.theme;
    try { if (to) localStorage.setItem("theme", to); else localStorage.removeItem("theme"); } catch { /* not remembered, then */ }
    show();
    document.dispatchEvent(new Event("theme"));
  });
}

// Paper is white: what is printed is light, plots too.
let before = null;
addEventListener("beforeprint", () => {
  before = document.documentElement.dataset.theme ?? "";
  document.documentElement.dataset.theme = "light";
  document.dispatchEvent(new Event("theme"));
});
addEventListener("afterprint", () => {
  if (before) document.documentElement.dataset.theme = before; else delete document.documentElement.dataset.theme;
  document.dispatchEvent(new Event("theme"));
});

// stale says at the top of the page that it is out of date, for how long (s) and why, if that is known; null says that it is not. What is
// read aloud does not change with every second.
const banner = document.getElementById("stale");
function stale(silent, why = "") {
  if (!banner) return;
  banner.hidden = silent === null;
  if (silent === null) return;
  const words = why ? "No news: " + why + " What is shown is of before." : "No news from idds. What is shown is of before; it is asked again by itself. If this lasts: does idds run, and does the network reach " + location.host + "?";
  if (banner.firstChild?.textContent !== words) {
    const since = document.createElement("span");
    since.setAttribute("aria-hidden", "true");
    banner.replaceChildren(words, since);
  }
  banner.lastChild.textContent = " (for " + silent + " s)";
}

// A page that follows what happens: it is asked for again when an event of /v1/events says that something has, and every few seconds in any
// case, so that a line that is dead without a word is noticed. What has changed is put into its place: nobody's focus, open details
// or typing are disturbed. A page that nobody looks at does not ask. Between two questions it waits ten times as long as an answer
// takes: one that is quick to make is on the screen at once, and however many look, idds has time for more than them.
const every = Number(body.dataset.refresh) * 1000;
const [soonest, latest] = [200, 1000];
let pace = latest;
let most = soonest; // grows when idds says that we ask too often
const patience = 10000;
const time = () => performance.now(); // no clock that somebody sets
let heard = time(); // when the server last answered
let asked = 0; // when it was asked
let asking = false;
let wanted = false; // something has happened while it was asked
let again = 0; // timer
let trouble = null; // why the last question had no answer

// address is where what is new is asked for: of a table that grows, what has come since the last answer.
function address() {
  const to = new URL(location.href);
  for (const part of document.querySelectorAll("[data-next]")) to.searchParams.set(part.id + "_after", part.dataset.next);
  return to;
}

async function refresh() {
  clearTimeout(again);
  if (document.hidden || asking) return;
  asking = true;
  wanted = false;
  asked = time();
  try {
    const answer = await fetch(address(), { headers: { Accept: "text/html" }, redirect: "manual", signal: AbortSignal.timeout(patience) });
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      location.reload(); // to the login, or to why not
      return;
    }
    if (answer.status === 429) { // it has had enough of all who ask from here; what is on the screen is not much older for that
      most = latest;
      pace = Math.max(latest, Number(answer.headers.get("Retry-After")) * 1000 || 0);
      return;
    }
    pace = Math.min(latest, Math.max(most, 10 * (time() - asked)));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status >= 500) { // what is on the screen is better than nothing
      trouble = fresh.querySelector("main .banner")?.textContent ?? "";
      return;
    }
    for (const part of ["main", "footer"]) {
      const from = fresh.querySelector(part);
      if (!from) throw new Error("no page: " + answer.status);
      morph(document.querySelector(part), from);
    }
    setClock(answer.headers.get("Date"));
    heard = time();
    trouble = null;
    document.dispatchEvent(new Event("refreshed"));
  } catch {
    trouble = "";
  } finally {
    asking = false;
    clearTimeout(again);
    again = setTimeout(refresh, trouble !== null ? 2000 : wanted ? Math.max(0, asked + pace - time()) : Math.max(every, pace));
    watch();
  }
}

function watch() {
  const silent = time() - heard;
  stale(trouble !== null || silent > every + patience ? Math.round(silent / 1000) : null, trouble ?? "");
}

function soon() {
  wanted = true;
  if (asking || trouble !== null) return;
  clearTimeout(again);
  again = setTimeout(refresh, Math.max(0, asked + pace - time()));
}

// A browser has few connections to one server: a hidden page gives its own back.
let events = null;
let refused = -Infinity; // when it was
function listen() {
  if (!body.dataset.live || events || time() - refused < 15000) return;
  events = new EventSource(body.dataset.live);
  events.addEventListener("board", soon);
  events.addEventListener("histograms", (e) => document.dispatchEvent(new CustomEvent("histograms", { detail: e.data })));
  events.addEventListener("error", () => {
    if (events?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    events = null; // the page that is asked for says why
    refused = time();
  });
}

if (every > 0) {
  setInterval(() => { if (!document.hidden) { watch(); listen(); } }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      events?.close();
      events = null;
      return;
    }
    heard = time(); // it was not asked meanwhile
    listen();
    refresh();
  });
  listen();
  again = setTimeout(refresh, every);
}
