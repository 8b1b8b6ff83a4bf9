import { KeySpace } from "@larder/cache-core";
import { describe, expect, it } from "vitest";
import { LaneNames } from "./lane-names.ts";

const namespaceOf = (key: string): string => (key === "k0" ? "first" : "rest");

describe("the name of a lane", () => {
  it("is not asked for where all is one", () => {
    const names = new LaneNames(1, undefined);
    expect(names.ofKey("k0")).toBeUndefined();
    expect(names.ofChannel("larder:{sim.0}:bus")).toBeUndefined();
  });

  it("is none for a channel of a design that has no lanes", () => {
    expect(new LaneNames(2, undefined).ofChannel("invalidations")).toBeUndefined();
  });

  it.each([
    ["of one cache, whatever its name", 4, undefined],
    ["of several caches, each with lanes of its own", 4, namespaceOf],
    ["of several caches with one lane each", 1, namespaceOf],
  ])("is the same for a key and for the channel that tells of it: %s", (_, lanes, route) => {
    const names = new LaneNames(lanes, route);
    for (const key of ["k0", "k1", "k2"]) {
      const space = new KeySpace({ namespace: route?.(key) ?? "sim", lanes });
      expect(names.ofKey(key)).toBeDefined();
      expect(names.ofKey(key)).toBe(names.ofChannel(space.channel(space.laneOf(key))));
    }
  });

  it("differs between two caches", () => {
    const names = new LaneNames(1, namespaceOf);
    expect(names.ofKey("k0")).not.toBe(names.ofKey("k1"));
  });
});
