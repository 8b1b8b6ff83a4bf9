import { describe, expect, it } from "vitest";
import { Teardown } from "./teardown.ts";

describe("Teardown", () => {
  it("closes floors from the top, and one when the one above is closed", async () => {
    const closed: string[] = [];
    const slow = (name: string): { close(): Promise<void> } => ({
      close: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        closed.push(name);
      },
    });
    const teardown = new Teardown();
    teardown.add(slow("connection"));
    teardown.nextFloor();
    teardown.add(slow("cache"));
    teardown.nextFloor();
    teardown.add(slow("server"));
    await teardown.close();
    expect(closed).toEqual(["server", "cache", "connection"]);
  });

  it("closes the parts of a floor together", async () => {
    let begun = 0;
    const teardown = new Teardown();
    // Each waits for the other: one after another they would never end.
    const part = {
      close: async () => {
        begun += 1;
        while (begun < 2) await new Promise((resolve) => setImmediate(resolve));
      },
    };
    teardown.add(part);
    teardown.add(part);
    await teardown.close();
    expect(begun).toBe(2);
  });

  it("closes the others when a part cannot be closed, at once or later", async () => {
    const closed: string[] = [];
    const teardown = new Teardown();
    teardown.add({ close: () => void closed.push("below") });
    teardown.nextFloor();
    teardown.add({
      close: () => {
        throw new Error("at once");
      },
    });
    teardown.add({ close: () => Promise.reject(new Error("later")) });
    teardown.add({ close: () => void closed.push("beside") });
    await teardown.close();
    expect(closed).toEqual(["beside", "below"]);
  });

  it("closes each part once, however often it is told", async () => {
    let count = 0;
    const teardown = new Teardown();
    teardown.add({
      close: () => {
        count += 1;
      },
    });
    await Promise.all([teardown.close(), teardown.close()]);
    await teardown.close();
    expect(count).toBe(1);
  });
});
