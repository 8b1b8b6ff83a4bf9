import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMIN_TOKEN, type Bed, chat, gate, startBed } from "../support/start.ts";

// A browser is 400 MB to install: this runs where LARDER_BROWSER=1 asks for it, as CI does, and then a missing one is a failure.
const isWanted = process.env.LARDER_BROWSER === "1";
if (!isWanted) console.warn("skipped: the dashboard in a real browser runs with LARDER_BROWSER=1");
const executablePath = process.env.LARDER_CHROMIUM ?? "/usr/bin/chromium";

describe.skipIf(!isWanted)("the dashboard in Chromium", () => {
  let bed: Bed;
  let browser: Browser;
  let foreign: string[] = [];
  let problems: string[] = [];
  beforeAll(async () => {
    expect(existsSync(executablePath), `no browser at ${executablePath}: apt-get install chromium`).toBe(true);
    bed = await startBed();
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser?.close();
    await bed?.close();
  });

  async function open(options: Parameters<Browser["newPage"]>[0] = {}): Promise<Page> {
    foreign = [];
    problems = [];
    const page = await browser.newPage(options);
    page.on("request", (request) => {
      if (!request.url().startsWith(bed.url) && !request.url().startsWith("data:")) foreign.push(request.url());
    });
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("401")) problems.push(message.text());
    });
    await page.goto(bed.url);
    return page;
  }

  async function enter(page: Page): Promise<void> {
    await page.getByRole("textbox", { name: "Token" }).fill(ADMIN_TOKEN);
    await page.getByRole("button", { name: "Show the dashboard" }).click();
    await page.getByText("Hit rate").waitFor();
  }

  const readTile = (page: Page, term: string): Promise<string | null> =>
    page.locator("#tiles div", { hasText: term }).locator("dd").textContent();

  it("asks for the token, refuses a wrong one, and shows live numbers for the right one", async () => {
    const page = await open();
    await page.getByRole("textbox", { name: "Token" }).fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("The token is not right.").waitFor();
    await bed.post("/v1/chat/completions", chat("board"));
    await bed.post("/v1/chat/completions", chat("board"));
    await enter(page);
    expect([await readTile(page, "Hit rate"), await readTile(page, "Requests")]).toEqual(["50%", "2"]);
    for (let round = 0; round < 2; round += 1) await bed.post("/v1/chat/completions", chat("board"));
    await page.locator("#tiles", { hasText: "75%" }).waitFor();
    expect(await page.locator("#rate-chart canvas").count()).toBe(1);
    expect([foreign, problems]).toEqual([[], []]);
    await page.close();
  });

  it.each(["pasted\u200b-with-something-invisible", "typographic-\u2026", "two words"])(
    "refuses %j, which no header carries, as a token",
    async (token) => {
      const page = await open();
      await page.getByRole("textbox", { name: "Token" }).fill(token);
      await page.keyboard.press("Enter");
      await page.getByText("The token is not right.").waitFor({ timeout: 3000 });
      expect([await page.locator("#state").textContent(), await page.evaluate("sessionStorage.length")]).toEqual(["Not connected", 0]);
      await page.close();
    },
  );

  it("tells the day of runs, which may be one of last week", async () => {
    const page = await open();
    const [finishedAt, nextRunAt] = [Date.UTC(2031, 2, 5, 12), Date.UTC(2031, 2, 19, 12)];
    const json = { isEnabled: true, catalog: { models: 1 }, lastReport: { outcome: "failed", finishedAt }, nextRunAt };
    await page.route("**/admin/sync", (route) => route.fulfill({ json }));
    await enter(page);
    await page.locator("#sync", { hasText: "Last run" }).waitFor();
    expect(await page.locator("#sync dd").allTextContents()).toEqual([
      ...["current", "1"],
      ...[expect.stringMatching(/^failed, .*2031/), expect.stringMatching(/19.*2031/)],
    ]);
    await page.close();
  });

  it("draws no peak, and no line that runs back, where the gateway's clock is set back", async () => {
    const page = await browser.newPage();
    const drawn =
      "window.uPlot = class { constructor(_, data) { window.drawn = data } setData(data) { window.drawn = data } destroy() {} }";
    await page.route("**/uplot.js", (route) => route.fulfill({ contentType: "text/javascript", body: drawn }));
    const instants = [100_000, 102_000, 50_000, 52_000];
    let asked = 0;
    await page.route("**/admin/cache/stats", async (route) => {
      const stats = await (await route.fetch()).json();
      const requests = { ...stats.requests, total: 30 * asked, hits: 20 * asked };
      await route.fulfill({ json: { ...stats, at: instants[Math.min(asked, 3)], requests } });
      asked += 1;
    });
    await page.goto(bed.url);
    await enter(page);
    await expect.poll(() => page.evaluate("window.drawn"), { timeout: 15_000, interval: 50 }).toEqual([[102], [10], [5]]);
    await expect.poll(() => page.evaluate("window.drawn[0].at(-1)"), { timeout: 15_000, interval: 50 }).toBe(52);
    expect(await page.evaluate("window.drawn")).toEqual([[52], [10], [5]]);
    await page.close();
  });

  it("keeps the token in its tab alone", async () => {
    const page = await open();
    await enter(page);
    expect(await page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]")).toEqual([0, "", 1]);
    await page.getByRole("button", { name: "Forget the token" }).click();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
    await page.close();
  });

  it("shows nothing and complains of nothing when it is left while it asks for numbers", async () => {
    const page = await open();
    await enter(page);
    const held = gate();
    const asked = gate();
    await page.route("**/admin/cache/stats", async (route) => {
      asked.open();
      await held.opened;
      await route.continue();
    });
    await asked.opened;
    await page.getByRole("button", { name: "Forget the token" }).click();
    const answered = page.waitForResponse("**/admin/cache/stats");
    held.open();
    await answered;
    // Long enough for what would ask again.
    await page.waitForTimeout(3000);
    expect([await page.locator("#enter-problem").textContent(), await page.locator("#state").textContent()]).toEqual(["", "Not connected"]);
    expect(await page.locator("#board").isVisible()).toBe(false);
    await page.close();
  });

  it("keeps its rows low on a phone, however many models a provider has", async () => {
    const models = Array.from({ length: 30 }, (_, index) => `a-model-with-a-long-name-${index}`);
    const crowded = await startBed({ providers: { crowded: { baseUrl: "https://a-provider.example/openai/deployments/v1", models } } });
    const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
    await page.goto(crowded.url);
    await enter(page);
    const row = page.locator("#providers tr", { hasText: "crowded" });
    await row.waitFor();
    expect((await row.boundingBox())?.height).toBeLessThan(160);
    await page.close();
    await crowded.close();
  });

  it("keeps all columns in sight, however long a provider's name, address and models are", async () => {
    const named = await startBed({ allowedPrivateHosts: ["127.0.0.1"] });
    const provider = { baseUrl: `${named.upstream.url}/${"a".repeat(300)}`, displayName: "W".repeat(200), models: ["m".repeat(256)] };
    expect((await named.admin("PUT", "/admin/providers/named", provider)).status).toBe(200);
    const page = await browser.newPage({ viewport: { width: 1280, height: 740 } });
    await page.goto(named.url);
    await enter(page);
    await page.locator("#providers tr", { hasText: "WWW" }).waitFor();
    expect(
      await page.evaluate("(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('#providers').parentNode)"),
    ).toBe(0);
    await page.close();
    await named.close();
  });

  it("is readable on a phone and in the dark", async () => {
    const page = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
    await enter(page);
    const [width, background] = await page.evaluate<[number, string]>(
      "[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]",
    );
    expect(width).toBeLessThanOrEqual(360);
    expect(background).toBe("rgb(18, 22, 28)");
    await page.close();
  });

  it.each(["light", "dark"] as const)("is accessible: names, headings, table heads, contrast (%s)", async (colorScheme) => {
    const page = await open({ colorScheme });
    await enter(page);
    const found = await page.evaluate(readFileSync(resolve(import.meta.dirname, "audit-page.js"), "utf8"));
    expect(found).toEqual({ language: "en", unnamed: 0, headings: [1, 0], bareHeads: 0, faint: [] });
    await page.close();
  });
});
