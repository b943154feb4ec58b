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

// A page that follows what happens: it is asked for again, and what has changed is put into its place. Nobody's focus, open
// details or typing are disturbed.
const every = Number(body.dataset.refresh) * 1000;
if (every > 0 && !body.dataset.live) {
  let last = now();
  const again = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual", signal: AbortSignal.timeout(20000) });
        if (answer.type === "opaqueredirect") {
          location.reload(); // to the login
          return;
        }
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const main = fresh.getElementById("main");
        if (!main) throw new Error(String(answer.status));
        morph(document.getElementById("main"), main);
        setClock(answer.headers.get("Date"));
        last = now();
        stale("");
      } catch {
        stale("No news from idds for " + Math.round((now() - last) / 1000) + " s: this page shows what was then.");
      }
    }
    setTimeout(again, every);
  };
  setTimeout(again, every);
}
