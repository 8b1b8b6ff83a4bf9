import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeySpace } from "./key-space.ts";

/** The part of a key that decides its slot, as Redis Cluster reads it. */
function hashTag(key: string): string {
  const open = key.indexOf("{");
  const close = key.indexOf("}", open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

describe("KeySpace", () => {
  it("keeps everything of a key in one slot, whatever braces the key has, so that one script may touch it all", () => {
    const space = new KeySpace({ namespace: "answers", lanes: 7 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom("{", "}", "{}", "{a}b", "")), (key) => {
        const lane = space.laneOf(key);
        const names = [
          space.value(key),
          space.fence(key),
          space.lease(key),
          space.wakeChannel(key),
          space.record(lane),
          space.log(lane),
          space.tag(lane, key),
        ];
        expect(new Set(names.map(hashTag)).size).toBe(1);
      }),
    );
  });

  it("gives different things different names", () => {
    const space = new KeySpace({ namespace: "n" });
    const names = ["a", "b", "v:a", ""].flatMap((key) => [space.value(key), space.fence(key), space.lease(key), space.tag(0, key)]);
    expect(new Set([...names, space.record(0), space.log(0), space.channel(0)]).size).toBe(names.length + 3);
  });

  it("spells keys so that no two are one in UTF-8, and finds them again", () => {
    const space = new KeySpace({ namespace: "n" });
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom("\ud800", "\udc00", "a", "\u0000utf16:")).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (key) => {
        const inRedis = Buffer.from(space.nameOf(key), "utf8").toString("utf8");
        expect(space.keyOf(inRedis)).toBe(key);
      }),
    );
  });

  it("spreads keys over the lanes", () => {
    const space = new KeySpace({ namespace: "n", lanes: 16 });
    const counts = Array.from({ length: 16 }, () => 0);
    for (let index = 0; index < 16_000; index += 1) counts[space.laneOf(`chat:model:${index}`)]! += 1;
    expect(Math.min(...counts)).toBeGreaterThan(700);
  });

  it.each([
    [{ namespace: "" }, "namespace"],
    [{ namespace: "a{b" }, "namespace"],
    [{ namespace: "n", keyPrefix: "}" }, "keyPrefix"],
    [{ namespace: "\ud800" }, "namespace"],
    [{ namespace: "n", lanes: 0 }, "lanes"],
    [{ namespace: "n", lanes: 16_385 }, "lanes"],
  ])("refuses %j and names the option", (options, name) => {
    expect(() => new KeySpace(options)).toThrow(name);
  });
});
