import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import type { Exchange } from "../http/exchange.ts";
import type { GatewayStore } from "../storage/gateway-store.ts";
import { Authenticator, checkLocal } from "./authenticator.ts";
import { ProxyTrust } from "./proxy-trust.ts";

it("lets nobody in while keys cannot be looked up, says that it passes, and remembers nothing of it", async () => {
  let isAway = true;
  const stored = { id: "id", tenant: "acme", limits: "{}" };
  const store = { findKey: async () => (isAway ? Promise.reject(new Error("connection refused")) : stored) };
  const authenticator = new Authenticator(createSettings({ auth: "keys" }), store as unknown as GatewayStore, undefined);
  const exchange = { header: (name: string) => (name === "authorization" ? "Bearer sk-larder-1" : undefined) } as Exchange;
  const identify = async () => authenticator.identify(exchange);
  await expect(identify()).rejects.toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  isAway = false;
  expect(await identify()).toMatchObject({ tenant: "acme", keyId: "id" });
  await authenticator.close();
});

it.each([
  ["a program", {}, true],
  ["an address that somebody typed", { "sec-fetch-site": "none" }, true],
  ["a page of the gateway's own", { "sec-fetch-site": "same-origin", origin: "http://localhost:8787" }, true],
  ["a page of another port", { "sec-fetch-site": "same-site" }, false],
  ["a page of elsewhere, without an origin", { "sec-fetch-site": "cross-site" }, false],
  ["a page of elsewhere", { origin: "https://elsewhere.example" }, false],
  ["a page of elsewhere, by a name that resolves here", { host: "elsewhere.example" }, false],
])("without keys, on this machine alone: %s", (_, headers: Record<string, string>, isLetIn) => {
  const all: Record<string, string> = { host: "localhost:8787", ...headers };
  const exchange = { peerAddress: "127.0.0.1", header: (name: string) => all[name] } as Exchange;
  const enter = (): void => checkLocal(exchange, new ProxyTrust([]));
  if (isLetIn) expect(enter).not.toThrow();
  else expect(enter).toThrow(expect.objectContaining({ status: 403 }));
});
