// The node page's charts: time series on one axis from /api/v1/windows, response curves from the page's data.
"use strict";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const json = (id) => JSON.parse(document.getElementById(id)?.textContent || "null");
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function colours() {
  return Object.fromEntries(["text", "muted", "line", "accent", "attention", "bad", "surface"].map((n) => [n, css(`--${n}`)]));
}

function number(value, digits = 3) {
  if (value == null || !Number.isFinite(value)) return "no data";
  return Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function axis(c, more) {
  return { stroke: c.muted, font: FONT, grid: { stroke: c.line, width: 1 }, ticks: { show: false }, ...more };
}

// A split that has no room is null, and no number.
const ticks = (u, splits) => splits.map((v) => (v == null ? "" : number(v)));

const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");

// Hours of the day, the day's name where it begins.
function dayTimes(u, splits) {
  return splits.map((seconds) => {
    const text = new Date(seconds * 1e3).toUTCString();
    return text.slice(17, 22) === "00:00" ? text.slice(0, 11).replace(",", "") : text.slice(17, 22);
  });
}

// Powers of two between the bounds of a logarithmic axis.
function powers(u, at, low, high) {
  const found = [];
  for (let value = 2 ** Math.ceil(Math.log2(low) - 1e-9); value <= high * 1.0001; value *= 2) found.push(value);
  return found;
}

// Text at the right end of each line, moved apart where lines meet.
function lineLabels(labels) {
  return (u) => {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * ratio}px`);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    const placed = [];
    labels.forEach((label, at) => {
      const values = u.data[at + 1];
      let last = values.length - 1;
      while (last >= 0 && values[last] == null) last -= 1;
      if (last < 0 || !label.text) return;
      let y = u.valToPos(values[last], label.scale || "y", true);
      while (placed.some((other) => Math.abs(other - y) < 14 * ratio)) y += 14 * ratio;
      placed.push(y);
      ctx.fillStyle = label.colour;
      ctx.fillText(label.text, u.bbox.left + u.bbox.width + 6 * ratio, y);
    });
    ctx.restore();
  };
}

function uprights(c, changes) {
  return (u) => {
    const { ctx } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = c.attention;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    for (const [seconds] of changes) {
      const x = u.valToPos(seconds, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
}

function level(c, value, text) {
  return (u) => {
    if (value == null) return;
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const y = u.valToPos(value, "y", true);
    if (y < u.bbox.top) return;
    ctx.save();
    ctx.strokeStyle = c.attention;
    ctx.fillStyle = c.attention;
    ctx.font = FONT.replace("12px", `${12 * ratio}px`);
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.setLineDash([2 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(u.bbox.left, y);
    ctx.lineTo(u.bbox.left + u.bbox.width, y);
    ctx.stroke();
    ctx.fillText(text, u.bbox.left + 6 * ratio, y - 5 * ratio);
    ctx.restore();
  };
}

async function windows(kind, id, want) {
  const query = new URLSearchParams({ kind, id, start: want.start, end: want.end, step: want.step_s });
  const answer = await fetch(`/api/v1/windows?${query}`);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

function seriesOf(panel, node, instances, c) {
  const scaled = (values) => values.map((v) => (v == null ? null : v * panel.scale));
  if (panel.each_instance) {
    return instances.filter(([, s]) => s.columns[panel.columns[0]]).map(([id, s]) => ({
      text: instances.length > 1 ? id.split(":").pop() : "p95",
      values: scaled(s.columns[panel.columns[0]]),
      colour: c.accent,
    }));
  }
  const words = { running: "running", waiting: "waiting" };
  return panel.columns.filter((name) => node.columns[name]).map((name, at) => ({
    text: words[name] || "", values: scaled(node.columns[name]), colour: at ? c.attention : c.accent, dash: at ? [4, 3] : undefined,
  }));
}

function timeChart(figure, panel, time, series, want, c, isLast, readouts) {
  const box = figure.querySelector(".canvas");
  if (!series.length || series.every((s) => s.values.every((v) => v == null))) {
    box.innerHTML = '<p class="empty">Nothing was measured in this range.</p>';
    return null;
  }
  const options = {
    width: box.clientWidth, height: isLast ? 136 : 108,
    cursor: { sync: { key: "node" }, y: false, points: { size: 6 }, drag: { x: true, y: false } },
    legend: { show: false }, tzDate: utc,
    padding: [8, 64, isLast ? 0 : 8, 0],
    scales: { x: { time: true }, y: { range: (u, low, high) => [0, Math.max(high || 0, panel.limit && panel.limit < high * 2.5 ? panel.limit : 0) * 1.1 || 1] } },
    axes: [
      axis(c, isLast ? { size: 28, space: 72, values: dayTimes } : { size: 0, values: (u, splits) => splits.map(() => "") }),
      axis(c, { size: 56, space: 28, values: ticks }),
    ],
    series: [{}, ...series.map((s) => ({ stroke: s.colour, width: 1.5, dash: s.dash, spanGaps: false, points: { show: false },
      fill: series.length === 1 ? `${s.colour}14` : undefined }))],
    hooks: {
      draw: [uprights(c, want.changes), level(c, panel.limit, panel.limit_label), lineLabels(series)],
      setCursor: [(u) => {
        const at = u.cursor.idx;
        readouts[panel.id] = at == null ? null : [u.data[0][at], `${panel.quantity} ${series.map((s) => number(s.values[at])).join(" / ")} ${panel.unit}`];
        showReadout(readouts);
      }],
    },
  };
  box.replaceChildren();
  return new uPlot(options, [time, ...series.map((s) => s.values)], box);
}

function showReadout(readouts) {
  const shown = Object.values(readouts).filter(Boolean);
  const text = shown.length ? `${new Date(shown[0][0] * 1e3).toUTCString().slice(0, 22)} UTC · ${shown.map(([, words]) => words).join(" · ")}` : "";
  document.getElementById("readout").textContent = text;
}

async function timeCharts() {
  const want = json("time-data");
  const figures = [...document.querySelectorAll("#time-charts .plot")];
  if (!want || !figures.length) return () => [];
  const [node, ...parts] = await Promise.all([
    windows("node", want.node, want),
    ...want.instances.map((id) => windows("instance", id, want)),
  ]);
  const instances = want.instances.map((id, at) => [id, parts[at]]);
  const time = node.time.map((text) => Date.parse(text) / 1e3);
  return (c) => {
    const readouts = {};
    return figures.map((figure, at) => {
      const panel = want.panels[at];
      return timeChart(figure, panel, time, seriesOf(panel, node, instances, c), want, c, at === figures.length - 1, readouts);
    });
  };
}

// Where advice would put the instance: a point at its load, its interval as an upright.
function advised(c, advice) {
  return (u) => {
    if (!advice) return;
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const x = u.valToPos(advice.running, "x", true);
    const [low, middle, high] = ["low", "expected", "high"].map((name) => u.valToPos(advice[name], "y", true));
    ctx.save();
    ctx.strokeStyle = c.accent;
    ctx.fillStyle = `${c.accent}1f`;
    ctx.lineWidth = 2 * ratio;
    ctx.fillRect(x - 8 * ratio, high, 16 * ratio, low - high);
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, low);
    ctx.lineTo(x, high);
    ctx.stroke();
    ctx.fillStyle = c.accent;
    ctx.beginPath();
    ctx.arc(x, middle, 4 * ratio, 0, 2 * Math.PI);
    ctx.fill();
    const right = x > u.bbox.left + u.bbox.width / 2;
    ctx.textAlign = right ? "right" : "left";
    ctx.textBaseline = "middle";
    ctx.font = FONT.replace("12px", `${12 * ratio}px`);
    ctx.fillText(`advice: ${number(advice.expected)} tokens/s, ${advice.evidence}`, x + (right ? -14 : 14) * ratio, middle);
    ctx.restore();
  };
}

// Bounds of a logarithmic axis that hold every load and span at least a factor of eight.
function loadBounds(loads) {
  const middle = Math.sqrt(Math.min(...loads) * Math.max(...loads));
  const half = Math.max(Math.sqrt(Math.max(...loads) / Math.min(...loads)) * 1.4, Math.sqrt(8));
  return [middle / half, middle * half];
}

function curveChart(figure, curve, c) {
  const box = figure.querySelector(".canvas");
  box.replaceChildren();
  const top = Math.max(...curve.tokens_per_s.filter((v) => v != null), curve.advice ? curve.advice.high : 0);
  const joules = Math.max(...curve.joules_per_token.filter((v) => v != null), 0);
  const most = Math.max(...curve.hours);
  const loads = [...curve.running, ...(curve.advice ? [curve.advice.running] : [])].filter((v) => v > 0);
  const options = {
    width: box.clientWidth, height: 240, legend: { show: false }, padding: [8, 12, 0, 0],
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { time: false, distr: 3, log: 2, range: loadBounds(loads) },
      y: { range: [0, top * 1.08] }, j: { range: [0, joules * 1.15 || 1] }, h: { range: [0, most * 4] },
    },
    axes: [
      axis(c, { size: 26, label: "running requests", labelFont: FONT, labelSize: 18, grid: { show: false }, splits: powers, values: ticks }),
      axis(c, { size: 60, label: "tokens/s (solid)", labelFont: FONT, labelSize: 18, values: ticks }),
      axis(c, { scale: "j", side: 1, size: 52, label: "J/token (dashed)", labelFont: FONT, labelSize: 18, grid: { show: false }, values: ticks }),
    ],
    series: [
      {},
      { scale: "h", stroke: c.line, fill: c.line, width: 0, paths: uPlot.paths.bars({ size: [0.7, 48] }), points: { show: false } },
      { stroke: c.accent, width: 2, points: { show: true, size: 5, fill: c.accent } },
      { scale: "j", stroke: c.text, width: 1.5, dash: [4, 3], points: { show: true, size: 4, fill: c.surface } },
    ],
    hooks: { draw: [advised(c, curve.advice)] },
  };
  return new uPlot(options, [curve.running, curve.hours, curve.tokens_per_s, curve.joules_per_token], box);
}

function curveCharts() {
  const curves = json("curve-data") || [];
  const figures = [...document.querySelectorAll("[data-curve]")];
  return (c) => figures.map((figure) => curveChart(figure, curves[Number(figure.dataset.curve)], c));
}

async function start() {
  const drawers = [curveCharts()];
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart?.destroy());
    drawn = drawers.flatMap((drawer) => drawer(colours()));
  };
  draw();
  try {
    drawers.push(await timeCharts());
  } catch (error) {
    for (const box of document.querySelectorAll("#time-charts .canvas")) box.textContent = `Windows could not be read: ${error.message}`;
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let resting;
  addEventListener("resize", () => { clearTimeout(resting); resting = setTimeout(draw, 150); });
  document.documentElement.dataset.charts = "drawn";
}
start();
