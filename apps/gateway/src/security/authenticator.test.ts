import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import type { Exchange } from "../http/exchange.ts";
import type { GatewayStore } from "../storage/gateway-store.ts";
import { Authenticator } from "./authenticator.ts";

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
