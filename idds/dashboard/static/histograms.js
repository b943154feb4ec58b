// The merged histograms of a run, each with the statistical error of its bins, and those of a reference run behind them.
import { axis, axisSize, colour, faint, follow, sizeOf, thick, walk } from "./draw.js";
import { count } from "./format.js";

const mostBins = 400; // more are not seen in a plot of this size: neighbours are drawn together
const mostShown = 48;

const number = (x) => (Number.isFinite(x) ? String(Number(x.toPrecision(4))) : "–");
const sum = (list) => list.reduce((a, b) => a + b, 0);
const mean = (h) => h.sum_wx / h.sum_w;
const width = (h) => Math.sqrt(Math.max(0, h.sum_wx2 / h.sum_w - mean(h) ** 2));
const unitOf = (h) => (h.unit ? "[" + h.unit + "]" : "");
const some = (n, one, more) => count(n) + " " + (n === 1 ? one : more);
const titleOf = (h) => [h.title || h.name, unitOf(h)].filter(Boolean).join(" ");

const alike = (a, b) => a.nbins === b.nbins && a.low === b.low && a.high === b.high; // their axes are

const facts = (h) => count(h.entries) + " entries, mean " + number(mean(h)) + ", σ " + number(width(h)) + (h.underflow || h.overflow ? "; " + count(h.underflow ?? 0) + " below, " + count(h.overflow ?? 0) + " above the axis" : "");

// steps are the edges and heights of what is drawn.
function steps(h, scale = 1) {
  const together = Math.ceil(h.nbins / mostBins);
  const edges = [];
  const heights = [];
  for (let i = 0; i < h.nbins; i += together) {
    edges.push(h.low + ((h.high - h.low) * i) / h.nbins);
    heights.push(sum(h.counts.slice(i, i + together)) * scale);
  }
  edges.push(h.high);
  return { edges, heights: [...heights, heights.at(-1)] };
}

// decades are 1, 10, 100 ... up to a count.
const decades = (max) => Array.from({ length: Math.floor(Math.log10(max)) + 1 }, (_, i) => 10 ** i);

// Plot is one histogram, and that of a reference run behind it.
class Plot {
  // place is where it is drawn; says has what is under the pointer, or rest of it.
  constructor(place, says, rest) {
    Object.assign(this, { place, says, rest, log: undefined, zoom: null });
    place.setAttribute("role", "img");
    place.tabIndex = 0;
    walk(place, () => this.plot, () => steps(this.h).edges.slice(0, -1).map((x, i, all) => (x + (all[i + 1] ?? this.h.high)) / 2), {
      "+": () => this.closer(1 / 2), "=": () => this.closer(1 / 2), "-": () => this.closer(2),
    });
  }

  // logarithmic is what the histogram asks for, unless somebody has chosen.
  get logarithmic() { return this.log ?? !!this.h.log_y; }

  show(h, reference) {
    const stays = this.plot && alike(h, this.h) && !h.log_y === !this.h.log_y && !reference === !this.reference;
    this.h = h;
    this.reference = reference;
    this.place.setAttribute("aria-label", titleOf(h) + ": " + facts(h) + (reference ? "; reference: mean " + number(mean(reference)) : ""));
    if (stays) this.plot.setData(this.data());
    else this.redraw();
    this.tell(this.plot);
  }

  data() {
    const { edges, heights } = steps(this.h);
    const floor = (list) => (this.logarithmic ? list.map((n) => Math.max(n, 0.5)) : list);
    const behind = this.reference ? floor(steps(this.reference, this.reference.sum_w > 0 ? this.h.sum_w / this.reference.sum_w : 0).heights) : edges.map(() => null);
    return [edges, behind, floor(heights)];
  }

  redraw() {
    if (!this.h || !this.place.isConnected) return;
    if (!this.plot) follow(this.place, () => this.plot?.setSize(sizeOf(this.place)), () => this.redraw());
    this.plot?.destroy();
    const steppy = uPlot.paths.stepped({ align: 1 });
    const log = this.logarithmic;
    this.plot = new uPlot({
      ...sizeOf(this.place),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: this.drags ?? false, y: false, setScale: false } },
      padding: [axisSize(0.5), axisSize(0.9), 0, 0],
      scales: {
        x: { time: false, range: () => this.zoom ?? [this.h.low, this.h.high] },
        y: log ? { distr: 3, range: (_, _min, max) => [0.5, Math.max(10, (max ?? 1) * 2)] } : { range: (_, _min, max) => [0, Math.max(1, ((max ?? 1) + Math.sqrt(max ?? 1)) * 1.05)] },
      },
      axes: [
        axis({ size: axisSize(1.6), gap: axisSize(0.2), space: axisSize(3.5) }),
        axis({ size: axisSize(3), gap: axisSize(0.25), space: axisSize(2), ...(log ? { splits: (u) => decades(u.scales.y.max) } : {}), values: (_, splits) => splits.map((n) => (n === null ? null : n >= 1e6 ? n / 1e6 + " M" : n >= 1e4 ? n / 1e3 + " k" : number(n))) }),
      ],
      series: [
        {},
        { stroke: colour("--other"), width: thick(2), dash: [thick(6), thick(4)], paths: steppy, points: { show: false } },
        { stroke: colour("--busy-fill"), fill: faint("--busy-fill", 0.25), width: thick(1.5), paths: steppy, points: { show: false } },
      ],
      hooks: { draw: [(u) => this.errors(u)], setCursor: [(u) => this.tell(u)], setSelect: [(u) => this.selected(u)] },
    }, this.data(), this.place);
  }

  // selected shows the part over which somebody has drawn the pointer.
  selected(u) {
    if (u.select.width < 3) return;
    const [from, to] = [u.select.left, u.select.left + u.select.width].map((x) => u.posToVal(x, "x"));
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.within([from, to]);
  }

  // closer shows so much of what is seen now, around the cursor.
  closer(part) {
    if (!this.drags) return;
    const [from, to] = this.zoom ?? [this.h.low, this.h.high];
    const x = this.plot.cursor.left >= 0 ? this.plot.posToVal(this.plot.cursor.left, "x") : (from + to) / 2;
    this.within([x - (x - from) * part, x + (to - x) * part]);
  }

  // within shows a part of the axis, two bins at least; all of it when there is none.
  within(part) {
    const { low, high, nbins } = this.h;
    if (part) {
      const least = (2 * (high - low)) / nbins;
      const from = Math.min(Math.max(part[0], low), high - least);
      part = [from, Math.max(Math.min(part[1], high), from + least)];
    }
    this.zoom = part && (part[0] > low || part[1] < high) ? part : null;
    this.redraw();
  }

  // errors are the square roots of the counts, drawn where bins are wide enough to tell them apart.
  errors(u) {
    const [edges, , heights] = u.data;
    const ratio = devicePixelRatio;
    if (edges.length < 2 || u.valToPos(edges[1], "x", true) - u.valToPos(edges[0], "x", true) < 3 * ratio) return;
    u.ctx.save();
    u.ctx.strokeStyle = colour("--text");
    u.ctx.lineWidth = thick(ratio);
    u.ctx.beginPath();
    u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    u.ctx.clip();
    u.ctx.beginPath();
    for (let i = 0; i + 1 < edges.length; i++) {
      const n = heights[i];
      if (n < 1) continue;
      const x = Math.round(u.valToPos((edges[i] + edges[i + 1]) / 2, "x", true));
      u.ctx.moveTo(x, u.valToPos(n + Math.sqrt(n), "y", true));
      u.ctx.lineTo(x, u.valToPos(Math.max(n - Math.sqrt(n), this.logarithmic ? 0.5 : 0), "y", true));
    }
    u.ctx.stroke();
    u.ctx.restore();
  }

  // tell says what is under the pointer.
  tell(u) {
    const x = u?.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : NaN;
    const wide = (this.h.high - this.h.low) / this.h.nbins;
    const i = Math.floor((x - this.h.low) / wide);
    const n = this.h.counts[i];
    const edge = (k) => number(this.h.low + k * wide);
    this.says.textContent = n === undefined ? this.rest(this.h) : edge(i) + " … " + edge(i + 1) + ": " + count(n) + " ± " + number(Math.sqrt(n));
  }
}

// Figure is a histogram among the others, by whose title it is shown large.
class Figure extends Plot {
  constructor(run, open) {
    const says = document.createElement("span");
    super(document.createElement("div"), says, (of) => count(of.entries));
    this.run = run;
    this.place.className = "plot";
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    this.title = document.createElement("button");
    this.title.type = "button";
    this.title.addEventListener("click", () => open(this));
    this.unit = document.createElement("b"); // apart, so that it is there however long the title is
    caption.append(this.title, this.unit, says);
    this.figure.append(caption, this.place);
  }

  show(h, reference) {
    this.title.textContent = h.title || h.name;
    this.title.title = "Show it large: " + titleOf(h);
    this.unit.textContent = unitOf(h);
    super.show(h, reference);
  }
}

// Large is one histogram in a window of its own, to be looked at closely. When the page goes on to another run, it goes along.
export class Large extends Plot {
  constructor(dialog) {
    const part = (name) => document.getElementById("large-" + name);
    super(part("plot"), part("says"), () => "");
    Object.assign(this, { dialog, drags: true, title: part("title"), facts: part("facts"), check: part("log") });
    this.check.addEventListener("change", () => {
      this.log = this.check.checked;
      this.redraw();
    });
    part("whole").addEventListener("click", () => this.within(null));
    this.place.addEventListener("dblclick", () => this.within(null));
    part("close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      this.of.title.focus(); // who opened it may have been of another run
      this.of = null;
    });
  }

  open(figure) {
    Object.assign(this, { of: figure, log: undefined, zoom: null, h: figure.h, reference: figure.reference });
    this.dialog.showModal();
    this.check.checked = this.logarithmic;
    this.update(figure);
    this.redraw();
    this.place.focus();
  }

  // update follows the histogram that it shows.
  update(figure) {
    if (figure.h.name !== this.of?.h.name) return;
    if (!alike(figure.h, this.h)) this.zoom = null;
    this.of = figure;
    this.title.textContent = titleOf(figure.h);
    this.facts.textContent = "run " + figure.run + ": " + facts(figure.h) + (figure.reference ? "; dashed: reference, mean " + number(mean(figure.reference)) + ", σ " + number(width(figure.reference)) : "");
    this.show(figure.h, figure.reference);
  }

  redraw() {
    if (this.dialog.open) super.redraw();
  }
}

export class Histograms {
  constructor(place, rows, run, large) {
    Object.assign(this, { place, rows, run, large, against: "" });
    this.all = new Map();
    this.set = [];
    this.reference = new Map();
    place.replaceChildren();
    rows?.replaceChildren();
  }

  // compare draws another run's behind: of the same name and axis, or not at all.
  compare(set, run) {
    this.against = run;
    this.reference = new Map(set.map((h) => [h.name, h]));
    this.show(this.set);
  }

  // behind is what is drawn behind a histogram, if that can be.
  behind(h) {
    const r = this.reference.get(h.name);
    return r && alike(r, h) ? r : undefined;
  }

  // note says what is drawn, and what is not.
  note() {
    const words = [];
    if (this.set.length > mostShown) words.push("the first " + mostShown + " of " + this.set.length + " histograms; all are in the table");
    const [there, drawn] = [this.set.filter((h) => this.reference.has(h.name)).length, this.set.filter((h) => this.behind(h)).length];
    if (this.against && this.reference.size === 0) words.push("there are no histograms of a run " + this.against);
    else if (this.against && this.set.length === 0) words.push("to be compared with run " + this.against);
    else if (this.against) {
      words.push(drawn > 0 ? "dashed: run " + this.against + ", scaled to as many entries" : "nothing of run " + this.against + " can be drawn behind them");
      if (there > drawn) words.push(some(there - drawn, "has", "have") + " another axis there");
      if (this.set.length > there) words.push(some(this.set.length - there, "is", "are") + " not there");
    }
    return words.map((w) => " · " + w).join("");
  }

  show(set) {
    this.set = set;
    for (const h of set.slice(0, mostShown)) {
      let one = this.all.get(h.name);
      if (!one) {
        one = new Figure(this.run, (figure) => this.large.open(figure));
        this.all.set(h.name, one);
        this.place.append(one.figure);
      }
      one.show(h, this.behind(h));
      this.large.update(one);
    }
    for (const [name, one] of this.all) {
      if (set.some((h) => h.name === name)) continue;
      one.plot?.destroy();
      one.figure.remove();
      this.all.delete(name);
    }
    this.place.setAttribute("data-kept-loaded", "");
    const note = document.getElementById("reference-note");
    if (note) note.textContent = this.note();
    this.table();
  }

  // table says all of it in numbers.
  table() {
    this.rows?.replaceChildren(...this.set.map((h) => {
      const r = this.reference.get(h.name);
      const row = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = titleOf(h);
      row.append(name);
      for (const text of [count(h.entries), number(mean(h)), number(width(h)), count(h.underflow ?? 0), count(h.overflow ?? 0), !r ? "–" : this.behind(h) ? number(mean(r)) : number(mean(r)) + ", other axis"]) {
        const cell = document.createElement("td");
        cell.className = "num";
        cell.textContent = text;
        row.append(cell);
      }
      return row;
    }));
  }

  redraw() {
    for (const one of this.all.values()) one.redraw();
  }
}
