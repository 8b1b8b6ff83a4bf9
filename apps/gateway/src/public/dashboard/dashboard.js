// The dashboard's only script. It speaks to the gateway that served it and to nobody else; the token stays in this tab's session storage.

(() => {
  const REFRESH_MS = 2000;
  const PATIENCE_MS = 10_000;
  const POINTS = 300;
  const TOKEN = "larder-admin-token";
  const REFUSED = "The token is not right.";
  const byId = (id) => document.getElementById(id);
  const series = { at: [], hits: [], others: [] };
  let chart;
  let last;
  let timer;

  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 4 });
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

  async function read(path) {
    const headers = { authorization: `Bearer ${sessionStorage.getItem(TOKEN) ?? ""}` };
    const response = await fetch(path, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 401) throw Object.assign(new Error(REFUSED), { isRefused: true });
    if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
    return response.json();
  }

  // Everything shown goes in as text: names come from configuration and from providers.
  function cell(text, isHead = false) {
    const element = document.createElement(isHead ? "th" : "td");
    if (isHead) element.scope = "row";
    element.textContent = text;
    return element;
  }

  function fillRows(body, rows) {
    body.replaceChildren(
      ...rows.map((row) => {
        const line = document.createElement("tr");
        line.append(...row.map((text, index) => cell(String(text), index === 0)));
        return line;
      }),
    );
  }

  function fillTerms(list, entries) {
    list.replaceChildren(
      ...entries.map(([name, value]) => {
        const group = document.createElement("div");
        const term = document.createElement("dt");
        const detail = document.createElement("dd");
        term.textContent = name;
        detail.textContent = value;
        group.append(term, detail);
        return group;
      }),
    );
  }

  function showTiles({ requests, saved, cache, uptimeSeconds }) {
    fillTerms(byId("tiles"), [
      ["Hit rate", percent.format(requests.hitRate)],
      ["Requests", whole.format(requests.total)],
      ["Dollars saved", dollars.format(saved.usd)],
      ["Tokens saved", short.format(saved.inputTokens + saved.outputTokens)],
      ["Seconds saved", short.format(saved.seconds)],
      ["Shared calls", whole.format(requests.verdicts.COALESCED ?? 0)],
      ["Entries in memory", whole.format(cache.entries ?? 0)],
      ["Memory", `${short.format((cache.bytes ?? 0) / 1048576)} MB`],
      ["In flight", whole.format(requests.inFlight)],
      ["Up", uptimeSeconds < 3600 ? `${Math.floor(uptimeSeconds / 60)} min` : `${(uptimeSeconds / 3600).toFixed(1)} h`],
    ]);
  }

  function showTables({ requests, latencyMs }) {
    const verdicts = [...new Set(Object.values(requests.endpoints).flatMap(Object.keys))].sort();
    const head = document.createElement("tr");
    for (const name of ["Endpoint", ...verdicts]) {
      const column = document.createElement("th");
      column.scope = "col";
      column.textContent = name;
      head.append(column);
    }
    byId("endpoints").tHead.replaceChildren(head);
    const rows = Object.entries(requests.endpoints).map(([name, counts]) => [
      name,
      ...verdicts.map((verdict) => whole.format(counts[verdict] ?? 0)),
    ]);
    fillRows(byId("endpoints").tBodies[0], rows.length > 0 ? rows : [["No requests yet"]]);
    fillRows(byId("latency").tBodies[0], [
      ["Cache", latencyMs.hit.p50, latencyMs.hit.p99],
      ["Provider", latencyMs.miss.p50, latencyMs.miss.p99],
    ]);
  }

  // Written only when it changes: it is read out, and nobody wants to hear "Live" every two seconds.
  function tellState(text) {
    const state = byId("state");
    if (state.textContent !== text) state.textContent = text;
  }

  function showHealth({ health }) {
    const down = Object.entries(health.backends ?? {})
      .filter(([, isUp]) => !isUp)
      .map(([name]) => name);
    const banner = byId("degraded");
    banner.hidden = down.length === 0 && !health.isDegraded;
    const bus = health.isDegraded ? " Invalidations by other processes may be missed until it is back; answers say so." : "";
    banner.textContent = `Degraded: ${down.join(", ") || "bus"} not available.${bus}`;
    tellState(banner.hidden ? "Live" : "Live, degraded");
  }

  function addPoint(stats) {
    const others = stats.requests.total - stats.requests.hits;
    // A clock that was set back tells no time between the two, and the chart's own must not run back.
    const isSetBack = last !== undefined && stats.at <= last.at;
    if (isSetBack) for (const values of Object.values(series)) values.length = 0;
    if (last && !isSetBack) {
      const seconds = (stats.at - last.at) / 1000;
      series.at.push(stats.at / 1000);
      series.hits.push(Math.max(0, stats.requests.hits - last.hits) / seconds);
      series.others.push(Math.max(0, others - last.others) / seconds);
      for (const values of Object.values(series)) if (values.length > POINTS) values.shift();
    }
    last = { at: stats.at, hits: stats.requests.hits, others };
    drawChart();
  }

  function drawChart() {
    const place = byId("rate-chart");
    const data = [series.at, series.hits, series.others];
    if (chart) return chart.setData(data);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
    chart = new uPlot(
      {
        width: place.clientWidth,
        height: 220,
        cursor: { drag: { x: false, y: false } },
        scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [axis, axis],
        series: [
          {},
          { label: "Hits", stroke: color("--hit"), width: 2 },
          { label: "Others", stroke: color("--other"), width: 2, dash: [6, 4] },
        ],
      },
      data,
      place,
    );
  }

  function redrawChart() {
    chart?.destroy();
    chart = undefined;
    if (!byId("board").hidden) drawChart();
  }

  function stateOf(provider) {
    if (provider.isUnreadable) return "its settings cannot be read";
    if (provider.isSealed) return "its key does not open";
    return provider.isBreakerOpen ? "failing, not called for a while" : "in use";
  }

  async function showSlowThings() {
    const mine = showing;
    const [{ providers }, sync] = await Promise.all([read("/admin/providers"), read("/admin/sync")]);
    if (mine !== showing) return;
    fillRows(
      byId("providers").tBodies[0],
      providers.map((provider) => [
        provider.displayName || provider.id,
        provider.baseUrl,
        provider.models.length > 0
          ? provider.models.slice(0, 4).join(", ") + (provider.models.length > 4 ? ` and ${provider.models.length - 4} more` : "")
          : "any",
        provider.hasApiKey ? "kept" : "none",
        stateOf(provider),
      ]),
    );
    const when = (at) => (at ? new Date(at).toLocaleString() : "not yet");
    fillTerms(
      byId("sync"),
      sync.isEnabled
        ? [
            ["Catalog", sync.catalog.isStale ? "stale" : "current"],
            ["Models", whole.format(sync.catalog.models)],
            ["Last run", sync.lastReport ? `${sync.lastReport.outcome}, ${when(sync.lastReport.finishedAt)}` : "not yet"],
            ["Next run", when(sync.nextRunAt)],
          ]
        : [["State", "off: LARDER_SYNC_SOURCES is none, or is not set and no provider stands in environment or file"]],
    );
  }

  let round = 0;
  // Which showing of the board this is: what was asked for in an earlier one comes too late and is not shown.
  let showing = 0;
  async function refresh(mine) {
    clearTimeout(timer);
    try {
      const stats = await read("/admin/cache/stats");
      if (mine !== showing) return;
      showTiles(stats);
      showTables(stats);
      showHealth(stats);
      addPoint(stats);
      if (round % 5 === 0) await showSlowThings();
      round += 1;
      byId("state").dataset.live = "true";
    } catch (error) {
      if (mine !== showing) return;
      if (error.isRefused) return showEntrance(error.message);
      tellState("The gateway does not answer");
    }
    if (mine === showing) timer = setTimeout(refresh, REFRESH_MS, mine);
  }

  function showEntrance(problem) {
    showing += 1;
    clearTimeout(timer);
    sessionStorage.removeItem(TOKEN);
    byId("board").hidden = true;
    byId("leave").hidden = true;
    byId("enter").hidden = false;
    byId("enter-problem").textContent = problem;
    tellState("Not connected");
  }

  function showBoard() {
    byId("enter").hidden = true;
    byId("board").hidden = false;
    byId("leave").hidden = false;
    round = 0;
    showing += 1;
    refresh(showing);
  }

  byId("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = byId("token").value.trim();
    byId("token").value = "";
    byId("enter-problem").textContent = "";
    // What no header carries is no token; sent all the same, it would look as if the gateway did not answer.
    if (!/^[\x21-\x7e]+$/.test(token)) return showEntrance(REFUSED);
    sessionStorage.setItem(TOKEN, token);
    showBoard();
  });
  byId("leave").addEventListener("click", () => {
    showEntrance("");
    byId("token").focus();
  });
  window.addEventListener("resize", redrawChart);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawChart);
  if (sessionStorage.getItem(TOKEN)) showBoard();
})();
