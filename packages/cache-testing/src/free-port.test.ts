import { expect, it } from "vitest";
import { freePort } from "./free-port.ts";

it("gives ports that no outgoing connection takes, and none twice at a time", async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  expect(new Set(ports).size).toBe(50);
  // With its cluster bus, 10,000 above, below what Linux gives to clients.
  for (const port of ports) expect(port + 10_000).toBeLessThan(32_768);
});
