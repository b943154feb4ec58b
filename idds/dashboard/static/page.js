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

// stale says at the top of the page that it may be out of date; nothing does not.
const banner = document.getElementById("stale");
export function stale(text) {
  if (!banner || banner.textContent === text) return;
  banner.textContent = text;
  banner.hidden = !text;
}

// A page that follows what happens: it is asked for again when an event of /v1/events says that something has, at most once a second, and
// every few seconds in any case, so that a line that is dead without a word is noticed. What has changed is put into its place:
// nobody's focus, open details or typing are disturbed. A page that nobody looks at does not ask.
const every = Number(body.dataset.refresh) * 1000;
const atMost = 1000;
const patience = 10000;
let heard = Date.now(); // when the server last answered
let asked = 0; // when it was asked
let asking = false;
let again = 0; // timer
let trouble = false;

async function refresh() {
  clearTimeout(again);
  if (document.hidden || asking) return;
  asking = true;
  asked = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual", signal: AbortSignal.timeout(patience) });
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      location.reload(); // to the login, or to why not
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["main", "footer"]) {
      const from = fresh.querySelector(part);
      if (!from) throw new Error("no page: " + answer.status);
      morph(document.querySelector(part), from);
    }
    setClock(answer.headers.get("Date"));
    heard = Date.now();
    trouble = false;
    document.dispatchEvent(new Event("refreshed"));
  } catch {
    trouble = true;
  } finally {
    asking = false;
    clearTimeout(again);
    again = setTimeout(refresh, trouble ? 2000 : every);
    watch();
  }
}

function watch() {
  const silent = Math.round((Date.now() - heard) / 1000);
  stale(trouble || Date.now() - heard > every + patience ? "No news from idds for " + silent + " s. This page shows how it was then." : "");
}

function soon() {
  if (asking) return;
  clearTimeout(again);
  again = setTimeout(refresh, Math.max(0, asked + atMost - Date.now()));
}

// A browser has few connections to one server: a hidden page gives its own back.
let events = null;
let refused = 0; // when it was
function listen() {
  if (!body.dataset.live || events || Date.now() - refused < 15000) return;
  events = new EventSource(body.dataset.live);
  events.addEventListener("board", soon);
  events.addEventListener("histograms", (e) => document.dispatchEvent(new CustomEvent("histograms", { detail: e.data })));
  events.addEventListener("error", () => {
    if (events?.readyState !== EventSource.CLOSED) return; // it tries again by itself
    events = null; // the page that is asked for says why
    refused = Date.now();
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
    heard = Date.now(); // it was not asked meanwhile
    listen();
    refresh();
  });
  listen();
  again = setTimeout(refresh, every);
}
