// The gateway inside a node:http server of one's own, with tenants, asked by the official client; then a client with a cache and no gateway.
// npm install @larder/gateway @hono/node-server openai
// Save it as inside-an-application.mts: `node inside-an-application.mts` runs it from Node 22.18 on, `npx tsx inside-an-application.mts` on Node 20.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { createCachedFetch, createGatewayHandler } from "@larder/gateway";
import OpenAI from "openai";

const gateway = createGatewayHandler({
  basePath: "/llm",
  settings: { cacheTtl: "10m" }, // and openaiBaseUrl, openaiApiKey: without them the sandbox answers
  tenantOf: (request) => request.headers.get("x-tenant") ?? undefined, // your session; undefined is 401
});
const server = createServer(getRequestListener(gateway));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/llm/v1`;

const question = { model: "sandbox", messages: [{ role: "user" as const, content: "What is a larder?" }] };
async function askAs(tenant: string): Promise<string | null> {
  const client = new OpenAI({ baseURL, apiKey: "unused", defaultHeaders: { "x-tenant": tenant } });
  const { response } = await client.chat.completions.create(question).withResponse();
  return response.headers.get("x-larder-cache");
}
console.log(await askAs("ada"), await askAs("ada"), await askAs("bob")); // MISS HIT MISS: tenants share nothing

const cachedFetch = createCachedFetch({ ttlMs: 600_000 });
const client = new OpenAI({ baseURL, apiKey: "unused", defaultHeaders: { "x-tenant": "carol" }, fetch: cachedFetch });
const whole = await client.chat.completions.create(question);
let streamed = "";
for await (const chunk of await client.chat.completions.create({ ...question, stream: true }))
  streamed += chunk.choices[0]?.delta.content ?? "";
console.log(streamed === whole.choices[0]?.message.content, cachedFetch.stats().hits); // true 1

await cachedFetch.close();
server.close();
server.closeAllConnections();
await gateway.close();
