// How numbers and times are written: as functions.go does, so that what the script puts into a page reads as what the server wrote.
export const none = "–";

export function count(n) {
  if (!Number.isFinite(n)) return none;
  return (n < 0 ? "−" : "") + Math.abs(n).toFixed(0).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function seconds(s) {
  if (s === null || !Number.isFinite(s)) return none;
  if (s < 0) return "−" + seconds(-s);
  if (s < 0.0995) return (s * 1000).toFixed(0) + " ms";
  if (s < 9.95) return s.toFixed(1) + " s";
  if (s < 119.5) return s.toFixed(0) + " s";
  const whole = Math.round(s);
  const h = Math.floor(whole / 3600);
  const two = (n) => String(n).padStart(2, "0");
  if (h >= 48) return Math.floor(h / 24) + " d " + (h % 24) + " h";
  if (h > 0) return h + " h " + two(Math.floor(whole / 60) % 60) + " min";
  return Math.floor(whole / 60) + " min " + two(whole % 60) + " s";
}

export function percent(x) {
  return x === null || x === undefined || !Number.isFinite(x) ? none : (x * 100).toFixed(0) + " %";
}

export function clock(t) {
  const at = new Date(t);
  return t === undefined || t === null || Number.isNaN(at.getTime()) ? none : at.toISOString().slice(11, 19);
}
