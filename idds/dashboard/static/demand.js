// How many workers a run wanted, had started, ready and at work, and how many slices waited meanwhile. The numbers come with the page, beside
// the places that they are drawn in.
import { colour, faint, thick } from "./draw.js";
import { counted, Outstanding, OverTime } from "./lines.js";

const stepped = uPlot.paths.stepped({ align: 1 });

// Workers is one plot of them.
class Workers extends OverTime {
  options() {
    const line = (name, more) => ({ scale: "y", stroke: colour(name), width: thick(2.5), paths: stepped, points: { show: false }, ...more });
    return {
      ...counted(),
      series: [
        line("--busy-fill", { fill: faint("--busy-fill", 0.35), width: thick(1) }),
        line("--done-fill"),
        line("--wait", { dash: [thick(2), thick(4)] }),
        line("--text", { dash: [thick(8), thick(5)], width: thick(2) }),
      ],
    };
  }

  show(points) {
    this.draw([points.map((p) => Date.parse(p.at) / 1000), ...["busy", "ready", "started", "wanted"].map((key) => points.map((p) => p[key]))]);
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
