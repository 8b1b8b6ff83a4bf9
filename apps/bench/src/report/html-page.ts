/** Colours and layout of the report: readable on a phone, on paper and in the dark. */
export const PAGE_STYLE: string = `
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5d6878; --paper: #fbfbfa; --card: #fff; --line: #e2e5ea; --ours: #0b6bcb; --peer: #9aa5b4;
  --limit: #c7b370; --good: #187a3d; --bad: #b3261e; --bar: #dfe9f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #98a3b3; --paper: #14181f; --card: #1b2028; --line: #2f3742; --ours: #6db3f7;
  --peer: #6b7788; --limit: #a08c48; --good: #62c483; --bad: #f28b82; --bar: #243447; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 80px; max-width: 1280px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { margin: 0; font-size: 26px; } h2 { margin: 44px 0 4px; font-size: 20px; } h3 { margin: 24px 0 8px; font-size: 16px; }
p { max-width: 78ch; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
nav { display: flex; flex-wrap: wrap; gap: 6px 14px; margin-top: 14px; } a { color: var(--ours); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 12px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
thead th { white-space: normal; min-width: 6.5em; vertical-align: bottom; line-height: 1.3; } thead th.text { text-align: left; }
td.text { white-space: normal; text-align: left; min-width: 8em; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--card); } tr:last-child td { border-bottom: 0; }
thead th { color: var(--dim); font-weight: 600; } tr.ours td:first-child { font-weight: 700; color: var(--ours); } tr.limit td:first-child, tr.control td:first-child { color: var(--dim); }
td .bar { display: block; height: 3px; margin-top: 2px; border-radius: 2px; background: var(--peer); min-width: 1px; } tr.ours .bar { background: var(--ours); } tr.limit .bar, tr.control .bar { background: var(--limit); }
td small { color: var(--dim); } ul.notes { margin: 8px 0 0; padding-left: 18px; color: var(--dim); font-size: 13px; } .plot { margin: 18px 0; padding: 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--card); overflow-x: auto; }
.plot h3 { margin: 0 0 8px; } .u-legend { font-size: 12px; } .u-legend th, .u-legend td { border: 0; padding: 2px 6px; position: static !important; background: none !important; white-space: nowrap; }
.uplot, .uplot *, .uplot *::before, .uplot *::after { color: var(--ink); }
@media (max-width: 640px) { body { padding: 16px 12px 60px; } table { font-size: 13px; } th, td { padding: 4px 8px; } thead th { min-width: 5.5em; }
  td:first-child { white-space: normal; overflow-wrap: break-word; min-width: 8.5em; max-width: 42vw; } ul.notes { padding-left: 16px; } }
@media print { body { max-width: none; } .scroll, .plot { break-inside: avoid; } }
`;

/** Runs in the page: draws every plot of the embedded data with uPlot, and again when the window or the colours change. */
export const PAGE_SCRIPT: string = `
const plots = JSON.parse(document.getElementById("plots").textContent);
// A peer has one colour on the whole page, none near the blue of ours; who comes after the last hue has the first again, paler or darker.
const hues = [28, 140, 285, 350, 170, 55, 255, 105, 320, 80, 0];
const isPeer = ({ role }) => role !== "ours" && role !== "limit" && role !== "control";
const peers = [...new Set(plots.flatMap(({ series }) => series.filter(isPeer).map(({ name }) => name)))];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
// Several of one role differ in strength: the first is the strongest.
const shadeOf = (name, nth) => nth === 0 ? css(name) : "color-mix(in srgb, " + css(name) + " " + Math.max(35, 100 - 28 * nth) + "%, " + css("--card") + ")";
const nthOf = (all, series, index) => all.slice(0, index).filter(({ role }) => role === series.role).length;
const hueOf = (nth) => "hsl(" + hues[nth % hues.length] + " 45% " + (isDark() ? 62 + 16 * (nth >= hues.length) : 46 - 16 * (nth >= hues.length)) + "%)";
const colourOf = (series, index, all) => isPeer(series) ? hueOf(peers.indexOf(series.name)) : shadeOf(series.role === "ours" ? "--ours" : "--limit", nthOf(all, series, index));
const short = (value) => value == null ? "–" : Math.abs(value) >= 1e6 ? +(value / 1e6).toPrecision(3) + "M" : Math.abs(value) >= 1e4 ? +(value / 1e3).toPrecision(3) + "k" : String(+value.toPrecision(3));
function draw(plot) {
  const host = document.getElementById("plot-" + plot.id);
  host.replaceChildren();
  const isBars = plot.kind === "bars";
  const xs = [...new Set(plot.series.flatMap((series) => series.points.map(([x]) => x)))].sort((a, b) => a - b);
  const data = [xs, ...plot.series.map((series) => { const at = new Map(series.points); return xs.map((x) => at.get(x) ?? null); })];
  const count = plot.series.length;
  const axis = { stroke: css("--dim"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
  const groupWidth = 0.8;
  // Bars of one group stand side by side: every series is drawn over its own slice of the group.
  const bars = (index) => (u, seriesIndex, from, to) => {
    const context = u.ctx; context.save(); context.fillStyle = colourOf(plot.series[index], index, plot.series);
    const slot = Math.abs(u.valToPos(1, "x", true) - u.valToPos(0, "x", true)) * groupWidth / count;
    const floor = u.valToPos(u.scales.y.min, "y", true);
    for (let i = from; i <= to; i += 1) {
      const y = data[seriesIndex][i]; if (y == null) continue;
      const x = u.valToPos(xs[i], "x", true) - slot * count / 2 + slot * index; const top = u.valToPos(y, "y", true);
      context.fillRect(x + slot * 0.06, top, slot * 0.88, floor - top);
    }
    context.restore(); return null;
  };
  new uPlot({
    width: Math.max(isBars ? 90 + xs.length * Math.max(130, 14 * count) : 320, host.clientWidth), height: 340,
    scales: { x: { time: false, distr: plot.xScale === "log" ? 3 : 1, range: isBars ? [-0.5, Math.max(...xs) + 0.5] : undefined },
      y: { distr: plot.yScale === "log" ? 3 : 1, range: plot.yScale === "log" ? undefined : (u, low, high) => [Math.min(0, low), high * 1.06 || 1] } },
    axes: [{ ...axis, ...(plot.xLabel ? { label: plot.xLabel } : {}), ...(isBars ? { splits: () => xs, values: (u, at) => at.map((x) => plot.labels?.[x] ?? ""), gap: 4 } : { values: (u, at) => at.map((x) => x == null ? "" : short(x)) }) },
      { ...axis, label: plot.yLabel, size: 64, values: (u, at) => at.map((y) => y == null ? "" : short(y)) }],
    series: [{ label: plot.xLabel || "at", value: (u, x) => isBars ? plot.labels?.[x] ?? "–" : short(x) }, ...plot.series.map((series, index) => ({
      label: series.name, stroke: colourOf(series, index, plot.series), width: series.role === "ours" ? 3 : 1.5, dash: plot.series.slice(0, index).some(({ role }) => role && role !== "peer" && role === series.role) ? [8, 5] : undefined, value: (u, y) => short(y), points: { show: !isBars, size: 5 },
      fill: isBars ? colourOf(series, index, plot.series) : undefined, ...(isBars ? { paths: bars(index) } : { spanGaps: true }) }))],
  }, data, host);
}
const drawAll = () => plots.forEach(draw);
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let pending; addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(drawAll, 150); });
`;
