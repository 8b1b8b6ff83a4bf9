import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import { FetchExchange } from "../http/fetch-exchange.ts";
import { createSandboxProvider } from "../upstream/operator-providers.ts";
import { ProviderTable } from "../upstream/provider-table.ts";
import { defaultControls } from "./cache-controls.ts";
import { RequestPlanner } from "./request-plan.ts";

const planner = new RequestPlanner(createSettings());
const table = new ProviderTable({ aliases: {}, routes: [] }, [], createSandboxProvider(1_000));
const identity = { tenant: "t", keyId: undefined, limits: {}, upstreamKey: undefined };
const exchange = new FetchExchange(new Request("http://gateway.test/v1/embeddings"));
const plan = (body: unknown) =>
  planner.plan("embedding", exchange, identity, defaultControls("on", "original"), Buffer.from(JSON.stringify(body)), table);
const batch = (items: number) => ({ model: "m", input: Array.from({ length: items }, (_, index) => `item ${index}`) });

// 2,048 keys each in up to 16,384 places were 200 MB beside a cache of 16.
it("remembers the plans of small bodies only: those of large batches hold a key for each item", () => {
  expect([plan(batch(16)), plan(batch(16))][1]).toBe(plan(batch(16)));
  expect([plan(batch(17)), plan(batch(17))][1]).not.toBe(plan(batch(17)));
  expect(plan(batch(17)).targets[0]?.itemKeys).toHaveLength(17);
});

it("remembers nothing of a body that comes once: most do, and what is kept of each only burdens the collector", () => {
  const once = [plan({ model: "m", input: "again" }), plan({ model: "m", input: "another" })];
  const twice = plan({ model: "m", input: "again" });
  expect(once).not.toContain(twice);
  expect(plan({ model: "m", input: "again" })).toBe(twice);
});

it("refuses a batch of more items than one may have before a key is made of each: a million of them took seconds", () => {
  expect(() => plan(batch(2_049))).toThrow("The input has more than 2048 items.");
  expect(plan(batch(2_048)).targets[0]?.itemKeys).toHaveLength(2_048);
});

it("refuses a model's name that is longer than any is: it would be kept with every answer", () => {
  expect(() => plan({ model: "m".repeat(513), input: "a" })).toThrow("The model's name is longer than 512 characters.");
  expect(plan({ model: "m".repeat(512), input: "a" }).model).toHaveLength(512);
});

it.each<[string, object, string | undefined]>([
  ["code that runs in a container by its id", { type: "code_interpreter", container: "cntr_1" }, "stateful"],
  ["a shell in one", { type: "shell", environment: { type: "container_reference", container_id: "cntr_1" } }, "stateful"],
  ["code that runs in a container of its own", { type: "code_interpreter", container: { type: "auto" } }, undefined],
  ["a function that speaks of one", { type: "function", name: "f", parameters: { properties: { container: { const: "c" } } } }, undefined],
])("of responses, what leans on a container goes past the cache: %s", (_what, tool, bypass) => {
  const body = Buffer.from(JSON.stringify({ model: "m", input: "x", tools: [{ type: "web_search" }, tool] }));
  expect(planner.plan("responses", exchange, identity, defaultControls("on", "original"), body, table).bypass).toBe(bypass);
});
