// A catalog kept fresh by a scheduler, against an upstream of our own that one day lists a price eleven times too high: the former one
// stays served, and what is held back is told. With the real ones: `sources: [openRouterModels(), modelsDev()]`.
// npm install @larder/provider-sync @larder/cache-core libsql
// Save it as price-catalog.mts: `node price-catalog.mts` runs it from Node 22.18 on, `npx tsx price-catalog.mts` on Node 20.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createCatalog, createSyncScheduler, openRouterModels } from "@larder/provider-sync";
import { createSqliteStore } from "@larder/provider-sync/sqlite";

let promptPrice = "0.000003";
const upstream = createServer((_request, response) => {
  const models = Array.from({ length: 120 }, (_, index) => ({
    id: `acme/model-${index}`,
    pricing: { prompt: promptPrice, completion: "0.000015" },
  }));
  // Only the first model's price moves.
  for (const model of models.slice(1)) model.pricing.prompt = "0.000003";
  response.setHeader("content-type", "application/json").end(JSON.stringify({ data: models }));
});
await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/api/v1/models`;

const store = await createSqliteStore({ path: ":memory:" });
const catalog = createCatalog({ readers: [store] });
const scheduler = createSyncScheduler({
  store,
  sources: [openRouterModels({ url })],
  publisher: catalog,
  intervalMs: 600_000,
  onEvent: (event) => {
    if (event.type === "run-finished")
      console.log(`${event.report.outcome}: version ${event.report.version}, ${event.report.models} models`);
    if (event.type === "quarantine-added")
      for (const { key, kept, offered } of event.entries) console.log(`held back: ${key}, ${offered} instead of ${kept}`);
  },
});
scheduler.start();
await catalog.ready();
console.log(catalog.price("acme/model-0")?.usdPerMillion); // { input: 3, output: 15 }

promptPrice = "0.000033";
await scheduler.runNow(); // shares the run under way, if there is one
await scheduler.runNow();
console.log(catalog.price("acme/model-0")?.usdPerMillion); // { input: 3, output: 15 } still
console.log(catalog.model("openrouter/acme/model-0")?.heldPrices); // the 33 that nobody believes yet

await scheduler.close();
catalog.close();
await store.close();
upstream.close();
upstream.closeAllConnections();
