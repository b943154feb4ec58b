// The plots of the first page. What they show comes with the page (#plots) and, for histograms, from the events or from /v1 when they
// have changed; the numbers are the page's own.
import { Lines, Outstanding } from "./lines.js";
import { Histograms, Large } from "./histograms.js";

const link = (path) => {
  const asked = new URLSearchParams(location.search).get("namespace");
  return asked ? path + "?namespace=" + encodeURIComponent(asked) : path;
};
const histogramsOf = async (run) => {
  const answer = await fetch(link("/v1/runs/" + encodeURIComponent(run) + "/histograms"), { signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).histograms ?? [];
};

let lines = null;
let outstanding = null;
let histograms = null;
let large = null;
let shown = null; // the run whose histograms are drawn, and how they were when they were asked for
let reference = null;
let told = 0; // when an event has brought histograms

async function update() {
  const text = document.getElementById("plots")?.textContent;
  const place = document.getElementById("histograms");
  if (!text || !place) { // no run, or the page says what is wrong
    lines = outstanding = histograms = shown = null;
    return;
  }
  const plots = JSON.parse(text);
  const history = document.getElementById("history");
  if (lines?.place !== history) lines = new Lines(history, document.getElementById("history-says"), plots.goal, plots.aim);
  lines.show(plots.history);
  const backlog = document.getElementById("backlog");
  if (outstanding?.place !== backlog) outstanding = new Outstanding(backlog, document.getElementById("backlog-says"));
  outstanding.show(plots.history);

  if (histograms?.place !== place || histograms.run !== plots.run) {
    const dialog = document.getElementById("large");
    if (large?.dialog !== dialog) large = new Large(dialog);
    histograms = new Histograms(place, document.getElementById("histogram-rows"), plots.run, large);
    shown = reference = null;
  }
  if (plots.reference && reference !== plots.reference) {
    reference = plots.reference;
    let of = [];
    try {
      of = await histogramsOf(plots.reference);
    } catch { /* there is none */ }
    histograms.compare(of, plots.reference);
  }
  if (shown !== plots.histograms_at && (shown === null || Date.now() - told > 3000)) { // else they are about to come by themselves
    shown = plots.histograms_at;
    const of = histograms;
    try {
      of.show(await histogramsOf(plots.run));
    } catch {
      shown = null; // next time
    }
  }
}

// One after the other: an answer that comes late must not replace a newer one.
let last = Promise.resolve();
const queue = (what) => { last = last.then(what).catch((e) => console.error(e)); };

queue(update);
document.addEventListener("refreshed", () => queue(update));
document.addEventListener("histograms", (e) => queue(() => {
  const event = JSON.parse(e.detail);
  if (event.run_id !== histograms?.run || event.omitted) return;
  told = Date.now();
  shown = event.histograms_at;
  histograms.show(event.histograms ?? []);
}));
const redraw = () => [lines, outstanding, histograms, large].forEach((drawn) => drawn?.redraw());
document.addEventListener("theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
