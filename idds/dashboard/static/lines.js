// The time to result over the run, on a logarithmic axis: a second and a minute are both to be seen, and so are the goals.
import { axis, axisSize, colour, faint, follow, sizeOf } from "./draw.js";
import { seconds } from "./format.js";

const marks = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 100000];

export class Lines {
  constructor(place, goal, aim) {
    this.place = place;
    this.goal = goal;
    this.aim = aim;
    this.data = [[], [], [], [], []];
    follow(place, () => this.plot?.setSize(sizeOf(place)));
    this.redraw();
  }

  redraw() {
    this.plot?.destroy();
    const line = (label, name, more) => ({ label, scale: "y", stroke: colour(name), width: 3, points: { show: false }, ...more });
    const second = (_, splits) => splits.map((t) => new Date(t * 1000).toISOString().slice(11, splits.length > 1 && splits[1] - splits[0] < 60 ? 19 : 16));
    this.plot = new uPlot({
      ...sizeOf(this.place),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { time: true },
        y: { distr: 3, range: (_, min, max) => [marks.findLast((m) => m <= Math.min(min ?? 1, 1)) ?? marks[0], marks.find((m) => m >= Math.max(max ?? 0, this.goal * 1.3)) ?? marks.at(-1)] },
      },
      axes: [
        axis({ values: second, space: axisSize(5), size: axisSize(2), gap: 4 }),
        axis({ scale: "y", size: axisSize(3.4), gap: 4, filter: (_, splits) => splits, splits: (u) => marks.filter((m) => m >= u.scales.y.min && m <= u.scales.y.max), values: (_, splits) => splits.map((m) => seconds(m)) }),
      ],
      series: [
        {},
        line("30 s", "--bad-fill", { dash: [8, 6], width: 2 }),
        line("10 s", "--wait", { dash: [5, 6], width: 1.5 }),
        line("half", "--done-fill", { dash: [2, 4], width: 2.5, points: { show: this.data[0].length < 3, size: 6 } }),
        line("95 %", "--busy-fill", { fill: faint("--busy-fill", 0.12), points: { show: this.data[0].length < 3, size: 7 } }),
      ],
    }, this.data, this.place);
  }

  show(history) {
    const known = history.filter((h) => Number.isFinite(Date.parse(h.at)));
    const value = (h, key) => (h.done > 0 && h[key] > 0 ? Math.max(h[key], marks[0]) : null);
    const few = this.data[0].length < 3;
    this.data = [
      known.map((h) => Date.parse(h.at) / 1000), known.map(() => this.goal), known.map(() => this.aim),
      known.map((h) => value(h, "p50")), known.map((h) => value(h, "p95")),
    ];
    if (few !== this.data[0].length < 3) this.redraw();
    else this.plot.setData(this.data);
  }
}
