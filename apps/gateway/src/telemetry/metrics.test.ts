import perfHooks from "node:perf_hooks";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AnswerCache } from "../caching/answer-cache.ts";
import { Meter } from "./meter.ts";
import { Metrics } from "./metrics.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("Metrics", () => {
  it("measures the process once, however many gateways there have been in it, and tells it for each by its own labels", async () => {
    const measured = vi.spyOn(perfHooks, "monitorEventLoopDelay");
    const answers = new AnswerCache({ maxEntries: 1, maxBytes: 1024, ttlMs: 1000 });
    const [first, second] = ["1", "2"].map((worker) => new Metrics({ meter: new Meter(), answers, backends: () => ({}), worker }));
    expect(measured.mock.calls.length).toBeLessThan(2);
    for (let round = 0; round < 2; round += 1) {
      expect(await first?.render()).toMatch(/^larder_nodejs_eventloop_lag_seconds\{worker="1"\} /m);
      expect(await second?.render()).toMatch(/^larder_nodejs_eventloop_lag_seconds\{worker="2"\} /m);
    }
    await answers.close();
  });

  it("names nothing as a counter that is none", async () => {
    const answers = new AnswerCache({ maxEntries: 1, maxBytes: 1024, ttlMs: 1000 });
    const text = await new Metrics({ meter: new Meter(), answers, backends: () => ({}) }).render();
    const isCounter = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type]) => [
      name,
      name.endsWith("_total") === (type === "counter"),
    ]);
    expect(isCounter.filter(([, is]) => !is)).toEqual([]);
    expect(isCounter.length).toBeGreaterThan(30);
    await answers.close();
  });
});
