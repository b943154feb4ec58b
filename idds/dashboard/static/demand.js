// How many workers a run wanted, had started, ready and at work, and how many slices waited meanwhile. The numbers come with the page, beside
// the places that they are drawn in.
import { axis, axisSize, colour, faint, follow, sizeOf, thick } from "./draw.js";
import { Outstanding, timeAxis } from "./lines.js";

const stepped = uPlot.paths.stepped({ align: 1 });

// Workers is one plot of them.
class Workers {
  constructor(place) {
    this.place = place;
    this.data = [[], [], [], [], []];
    follow(place, () => this.plot?.setSize(sizeOf(place)), () => this.redraw());
    this.redraw();
  }

  redraw() {
    this.plot?.destroy();
    const line = (name, more) => ({ scale: "y", stroke: colour(name), width: thick(2.5), paths: stepped, points: { show: false }, ...more });
    this.plot = new uPlot({
      ...sizeOf(this.place),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      padding: [axisSize(0.5), axisSize(2), 0, 0],
      scales: { x: { time: true }, y: { range: (_, _min, max) => [0, Math.max(4, (max ?? 1) * 1.12)] } },
      axes: [
        timeAxis(),
        axis({ scale: "y", size: axisSize(3.4), gap: axisSize(0.25), space: axisSize(2), values: (_, splits) => splits.map((n) => (Number.isInteger(n) ? n : "")) }),
      ],
      series: [
        {},
        line("--busy-fill", { fill: faint("--busy-fill", 0.35), width: thick(1) }),
        line("--done-fill"),
        line("--wait", { dash: [thick(2), thick(4)] }),
        line("--text", { dash: [thick(8), thick(5)], width: thick(2) }),
      ],
    }, this.data, this.place);
  }

  show(points) {
    this.data = [points.map((p) => Date.parse(p.at) / 1000), ...["busy", "ready", "started", "wanted"].map((key) => points.map((p) => p[key]))];
    this.plot.setData(this.data);
  }
}

// whole is a history that has an axis of time, also when it has only begun.
function whole(points) {
  if (points.length > 1) return points;
  return [{ at: new Date(Date.parse(points[0].at) - 60000).toISOString(), waiting: 0 }, ...points];
}

const drawn = new Map(); // by place

function update() {
  for (const place of drawn.keys()) if (!place.isConnected) drawn.delete(place);
  for (const course of document.querySelectorAll(".course")) {
    const points = whole(JSON.parse(course.querySelector("script").textContent));
    const [workers, backlog] = [course.querySelector(".workers"), course.querySelector(".backlog")];
    if (!drawn.has(workers)) drawn.set(workers, new Workers(workers));
    if (!drawn.has(backlog)) drawn.set(backlog, new Outstanding(backlog, course.querySelector(".says")));
    drawn.get(workers).show(points);
    drawn.get(backlog).show(points.map((p) => ({ at: p.at, outstanding: p.waiting })));
  }
}

const redraw = () => { for (const plot of drawn.values()) plot.redraw(); };
update();
document.addEventListener("refreshed", update);
document.addEventListener("theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
