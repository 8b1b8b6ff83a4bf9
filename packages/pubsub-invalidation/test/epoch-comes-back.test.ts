import { waitUntil } from "@larder/cache-testing";
import { afterEach, describe, it } from "vitest";
import { caughtUp, type Fleet, type FleetMember, startFleet } from "./fleet.ts";

/*
 * A record that comes back says nothing of what was invalidated while it was away, and who was cut off all that time finds what it knew. Those who saw
 * it go must tell, by a new epoch. With a second tier they did; without one the process that was cut off served the old value until its time to live was
 * over. Found by an audit.
 */

let fleet: Fleet | undefined;
afterEach(async () => {
  await fleet?.close();
  fleet = undefined;
});

const cutOff = async ({ busProxy, storeProxy }: FleetMember): Promise<void> => {
  await Promise.all([busProxy.set({ kind: "refuse" }), storeProxy.set({ kind: "refuse" })]);
  busProxy.reset();
  storeProxy.reset();
};
const heal = async ({ busProxy, storeProxy }: FleetMember): Promise<void> => {
  await Promise.all([busProxy.heal(), storeProxy.heal()]);
};

describe.each([false, true])("with a second tier: %s", (hasSecondTier) => {
  const start = async (): Promise<Fleet> => {
    fleet = await startFleet(hasSecondTier);
    await Promise.all([fleet.a.read(), fleet.b.read()]);
    return fleet;
  };

  it("a process that was cut off while the databases were swapped twice gets none of what was invalidated in between", async () => {
    const { server, database, a, b } = await start();
    await cutOff(b);
    await server.command("SWAPDB", "0", "1");
    await waitUntil("a is in the other database", async () => (await a.write()).propagated);
    await caughtUp(a);
    await server.command("SWAPDB", "0", "1");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });

  it("also when the other database was there only for the invalidation, and no heartbeat saw it", async () => {
    const { server, database, a, b } = await start();
    await cutOff(b);
    await server.command("SWAPDB", "0", "1");
    await waitUntil("a has told of it there", async () => (await a.write()).propagated);
    await server.command("SWAPDB", "0", "1");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });

  it("and a record that is put back as it was before is not taken for the present one", async () => {
    const { server, database, a, b } = await start();
    const record = "larder:{fleet.0}:version";
    await server.command("COPY", record, "before");
    await cutOff(b);
    await waitUntil("a has told of it", async () => (await a.write()).propagated);
    await caughtUp(a);
    await server.command("COPY", "before", record, "REPLACE");
    await caughtUp(a);
    await heal(b);
    await caughtUp(b);
    await waitUntil("b has the new value", async () => (await b.read()) === database.get("k"));
  });
});
