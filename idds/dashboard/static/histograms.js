// The merged histograms of a run, each with the statistical error of its bins, and those of a reference run behind them.
import { axis, axisSize, colour, faint, follow, sizeOf, thick } from "./draw.js";
import { count } from "./format.js";

const mostBins = 400; // more are not seen in a plot of this size: neighbours are drawn together
const mostShown = 48;

const number = (x) => (Number.isFinite(x) ? String(Number(x.toPrecision(4))) : "–");
const sum = (list) => list.reduce((a, b) => a + b, 0);
const mean = (h) => h.sum_wx / h.sum_w;
const width = (h) => Math.sqrt(Math.max(0, h.sum_wx2 / h.sum_w - mean(h) ** 2));
const unitOf = (h) => (h.unit ? "[" + h.unit + "]" : "");
const titleOf = (h) => [h.title || h.name, unitOf(h)].filter(Boolean).join(" ");

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

class Histogram {
  constructor(h) {
    this.figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    this.title = document.createElement("b");
    this.unit = document.createElement("b"); // apart, so that it is there however long the title is
    this.says = document.createElement("span");
    caption.append(this.title, this.unit, this.says);
    this.place = document.createElement("div");
    this.place.className = "plot";
    this.place.setAttribute("role", "img");
    this.figure.append(caption, this.place);
    this.h = h;
  }

  // same reports whether another one has the same axis, so that the plot can stay.
  same(h, reference) {
    return h.nbins === this.h.nbins && h.low === this.h.low && h.high === this.h.high && !h.log_y === !this.h.log_y && !reference === !this.reference;
  }

  show(h, reference) {
    const stays = this.plot && this.same(h, reference);
    this.h = h;
    this.reference = reference;
    this.title.textContent = h.title || h.name;
    this.unit.textContent = unitOf(h);
    this.title.title = titleOf(h);
    this.says.textContent = count(h.entries);
    this.place.setAttribute("aria-label", titleOf(h) + ": " + count(h.entries) + " entries, mean " + number(mean(h)) + ", width " + number(width(h)) + (reference ? ", reference mean " + number(mean(reference)) : ""));
    if (stays) this.plot.setData(this.data());
    else this.redraw();
  }

  data() {
    const { edges, heights } = steps(this.h);
    const floor = (list) => (this.h.log_y ? list.map((n) => Math.max(n, 0.5)) : list);
    const behind = this.reference ? floor(steps(this.reference, this.reference.sum_w > 0 ? this.h.sum_w / this.reference.sum_w : 0).heights) : edges.map(() => null);
    return [edges, behind, floor(heights)];
  }

  redraw() {
    if (!this.place.isConnected) return;
    if (!this.plot) follow(this.place, () => this.plot.setSize(sizeOf(this.place)), () => this.redraw());
    this.plot?.destroy();
    const steppy = uPlot.paths.stepped({ align: 1 });
    this.plot = new uPlot({
      ...sizeOf(this.place),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      padding: [axisSize(0.5), axisSize(0.9), 0, 0],
      scales: {
        x: { time: false, range: () => [this.h.low, this.h.high] },
        y: this.h.log_y ? { distr: 3, range: (_, _min, max) => [0.5, Math.max(10, (max ?? 1) * 2)] } : { range: (_, _min, max) => [0, Math.max(1, (max ?? 1) * 1.12)] },
      },
      axes: [
        axis({ size: axisSize(1.6), gap: axisSize(0.2), space: axisSize(3.5) }),
        axis({ size: axisSize(3), gap: axisSize(0.25), space: axisSize(2), ...(this.h.log_y ? { splits: (u) => decades(u.scales.y.max) } : {}), values: (_, splits) => splits.map((n) => (n === null ? null : n >= 1e6 ? n / 1e6 + " M" : n >= 1e4 ? n / 1e3 + " k" : number(n))) }),
      ],
      series: [
        {},
        { stroke: colour("--other"), width: thick(2), dash: [thick(6), thick(4)], paths: steppy, points: { show: false } },
        { stroke: colour("--busy-fill"), fill: faint("--busy-fill", 0.25), width: thick(1.5), paths: steppy, points: { show: false } },
      ],
      hooks: { draw: [(u) => this.errors(u)], setCursor: [(u) => this.tell(u)] },
    }, this.data(), this.place);
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
    for (let i = 0; i + 1 < edges.length; i++) {
      const n = heights[i];
      if (n < 1) continue;
      const x = Math.round(u.valToPos((edges[i] + edges[i + 1]) / 2, "x", true));
      u.ctx.moveTo(x, u.valToPos(n + Math.sqrt(n), "y", true));
      u.ctx.lineTo(x, u.valToPos(Math.max(n - Math.sqrt(n), this.h.log_y ? 0.5 : 0), "y", true));
    }
    u.ctx.stroke();
    u.ctx.restore();
  }

  // tell says what is under the pointer.
  tell(u) {
    const x = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : NaN;
    const i = Math.floor(((x - this.h.low) / (this.h.high - this.h.low)) * this.h.nbins);
    const n = this.h.counts[i];
    this.says.textContent = n === undefined ? count(this.h.entries) : number(x) + ": " + count(n) + " ± " + number(Math.sqrt(n));
  }
}

export class Histograms {
  constructor(place, rows, run) {
    this.place = place;
    this.rows = rows;
    this.run = run;
    this.all = new Map();
    this.set = [];
    this.reference = new Map();
    place.replaceChildren();
    rows?.replaceChildren();
  }

  // compare draws another run's behind: of the same name and axis, or not at all.
  compare(set) {
    this.reference = new Map(set.map((h) => [h.name, h]));
    this.show(this.set);
  }

  show(set) {
    this.set = set;
    for (const h of set.slice(0, mostShown)) {
      let one = this.all.get(h.name);
      if (!one) {
        one = new Histogram(h);
        this.all.set(h.name, one);
        this.place.append(one.figure);
      }
      const r = this.reference.get(h.name);
      one.show(h, r && r.nbins === h.nbins && r.low === h.low && r.high === h.high ? r : undefined);
    }
    for (const [name, one] of this.all) {
      if (set.some((h) => h.name === name)) continue;
      one.plot?.destroy();
      one.figure.remove();
      this.all.delete(name);
    }
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
      for (const text of [count(h.entries), number(mean(h)), number(width(h)), count(h.underflow ?? 0), count(h.overflow ?? 0), r ? number(mean(r)) : "–"]) {
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
