// What all plots have in common: the page's colours and type, and a canvas that follows its place.

// colour is what a variable of the style stands for now, light or dark.
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
export function colour(name) {
  probe.style.color = "var(" + name + ")";
  return getComputedStyle(probe).color;
}

export function faint(name, alpha) {
  return colour(name).replace(/^rgb\((.*)\)$/, "rgba($1, " + alpha + ")");
}

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
export const font = (size = 0.75) => Math.round(rem() * size) + "px " + getComputedStyle(document.body).fontFamily;

// axis is one in the page's colours.
export function axis(more) {
  return {
    stroke: colour("--dim"), font: font(), grid: { stroke: faint("--dim", 0.18), width: 1 }, ticks: { stroke: faint("--dim", 0.4), width: 1, size: 4 }, ...more,
  };
}
export const axisSize = (factor) => Math.round(rem() * factor);

// follow keeps a plot as large as its place.
const observer = new ResizeObserver((entries) => {
  for (const e of entries) e.target.resized?.();
});
export function follow(place, resized) {
  place.resized = resized;
  observer.observe(place);
}
export const sizeOf = (place) => ({ width: Math.max(120, place.clientWidth), height: Math.max(80, place.clientHeight) });
