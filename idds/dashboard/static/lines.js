// What happened over the run: the time to result, on a logarithmic axis, so that a second and a minute are both to be seen, and so are the
// goals; and how many slices were outstanding.
import { axis, axisSize, colour, faint, follow, sizeOf, thick, walk } from "./draw.js";
import { clock, count, seconds } from "./format.js";

const marks = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 100000];

// steps are how far apart (s) the marks of the time may be.
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// A line goes on where there was no result for a while (s), as between two STFs; longer than that, nothing was there.
const together = 30;
const gaps = (u, _series, _from, _to, none) => none.filter(([from, to]) => u.posToVal(to, "x", true) - u.posToVal(from, "x", true) > together);

// alone are the places of values without another near enough: no line goes through them.
function alone(times, values) {
  const there = values.flatMap((v, i) => (v === null ? [] : [i]));
  const far = (i, j) => i === undefined || j === undefined || Math.abs(times[i] - times[j]) > together;
  return there.filter((i, n) => far(i, there[n - 1]) && far(i, there[n + 1]));
}

// timeAxis is the one beneath, in UTC.
const timeAxis = () => axis({
  values: (_, splits) => splits.map((t) => new Date(t * 1000).toISOString().slice(11, splits.length > 1 && splits[1] - splits[0] < 60 ? 19 : 16)),
  incrs: steps, space: axisSize(5), size: axisSize(2), gap: axisSize(0.25),
});
const timesOf = (history) => history.map((h) => Date.parse(h.at) / 1000);

// whole is a history that has an axis of time: one interval makes none, but the minute before it does.
function whole(history) {
  const known = history.filter((h) => Number.isFinite(Date.parse(h.at)));
  if (known.length > 1) return known;
  const last = known.length > 0 ? Date.parse(known[0].at) : Date.now();
  known.unshift({ at: new Date(last - 60000).toISOString(), done: 0, outstanding: 0 });
  if (known.length < 2) known.push({ at: new Date(last).toISOString(), done: 0, outstanding: 0 });
  return known;
}

// tell says what is under the pointer: of the interval that is nearest.
function tell(u, history, says, words) {
  const h = u.cursor.left >= 0 ? history[u.cursor.idx] : undefined;
  says.textContent = h ? clock(h.at) + " UTC: " + words(h) : "";
}

// OverTime is a plot over time: of what it shows, drawn anew in other colours or type.
export class OverTime {
  constructor(place) {
    this.place = place;
    follow(place, () => this.plot?.setSize(sizeOf(place)), () => this.redraw());
    walk(place, () => this.plot, () => this.data[0]);
  }

  // The options are what a plot has of its own: scale and axis of its values, series, and what is done when the pointer moves.
  redraw() {
    if (!this.data) return;
    const { scale, axis: own, series, setCursor = () => {} } = this.options();
    this.plot?.destroy();
    this.plot = new uPlot({
      ...sizeOf(this.place),
      legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      padding: [axisSize(0.5), axisSize(2), 0, 0],
      scales: { x: { time: true }, y: scale },
      axes: [timeAxis(), axis({ scale: "y", size: axisSize(3.4), gap: axisSize(0.25), ...own })],
      series: [{}, ...series],
      hooks: { setCursor: [setCursor] },
    }, this.data, this.place);
  }

  draw(data) {
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else this.redraw();
  }
}

// counted are scale and axis of whole numbers.
export const counted = () => ({
  scale: { range: (_, _min, max) => [0, Math.max(4, (max ?? 1) * 1.12)] },
  axis: { space: axisSize(2), values: (_, splits) => splits.map((n) => (Number.isInteger(n) ? count(n) : "")) },
});

export class Lines extends OverTime {
  constructor(place, says, goal, aim) {
    super(place);
    this.says = says;
    this.goal = goal;
    this.aim = aim;
  }

  options() {
    const line = (label, name, more) => ({ label, scale: "y", stroke: colour(name), width: thick(3), points: { show: false }, gaps, ...more });
    const dots = (name, size) => ({ show: false, size: thick(size), fill: colour(name), filter: (u, series) => alone(u.data[0], u.data[series]) });
    return {
      scale: { distr: 3, range: (_, min, max) => [marks.findLast((m) => m <= Math.min(min ?? 1, 1)) ?? marks[0], marks.find((m) => m >= Math.max(max ?? 0, this.goal * 1.3)) ?? marks.at(-1)] },
      axis: { filter: (_, splits) => splits, splits: (u) => marks.filter((m) => m >= u.scales.y.min && m <= u.scales.y.max), values: (_, splits) => splits.map((m) => seconds(m)) },
      series: [
        line("30 s", "--bad-fill", { dash: [thick(8), thick(6)], width: thick(2) }),
        line("10 s", "--wait", { dash: [thick(5), thick(6)], width: thick(1.5) }),
        line("half", "--done-fill", { dash: [thick(3), thick(3)], width: thick(2.5), points: dots("--done-fill", 6) }),
        line("95 %", "--busy-fill", { fill: faint("--busy-fill", 0.12), points: dots("--busy-fill", 7) }),
      ],
      setCursor: (u) => tell(u, this.known, this.says, (h) => (h.done > 0 ? "95 % within " + seconds(h.p95) + ", half " + seconds(h.p50) + ", of " + count(h.done) : "no result")),
    };
  }

  show(history) {
    const known = this.known = whole(history);
    const value = (h, key) => (h.done > 0 && h[key] > 0 ? Math.max(h[key], marks[0]) : null);
    this.draw([
      timesOf(known), known.map(() => this.goal), known.map(() => this.aim),
      known.map((h) => value(h, "p50")), known.map((h) => value(h, "p95")),
    ]);
  }
}

// Outstanding is how many slices were neither done nor failed.
export class Outstanding extends OverTime {
  constructor(place, says) {
    super(place);
    this.says = says;
  }

  options() {
    return {
      ...counted(),
      series: [{ scale: "y", stroke: colour("--dim"), fill: faint("--dim", 0.25), width: thick(2.5), points: { show: false }, paths: uPlot.paths.stepped({ align: -1 }) }],
      setCursor: (u) => tell(u, this.known, this.says, (h) => count(h.outstanding)),
    };
  }

  show(history) {
    const known = this.known = whole(history);
    this.draw([timesOf(known), known.map((h) => h.outstanding)]);
  }
}
