import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { shardOf, shardsFor } from "./sharded-index.ts";

const KEYS = 20_000;
const SHARDS = 7;
const digest = (index: number, algorithm: string): string => createHash(algorithm).update(String(index)).digest("hex");

const forms: ReadonlyArray<readonly [form: string, key: (index: number) => string]> = [
  ["digests", (index) => `chat:gpt:${digest(index, "sha256")}`],
  ["counters", (index) => `user:${index}`],
  ["counters of one width", (index) => `user:${String(index).padStart(12, "0")}`],
  ["UUIDs", (index) => digest(index, "md5").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")],
  ["base 64", (index) => createHash("sha256").update(String(index)).digest("base64url")],
  ["ids in the middle", (index) => `tenant:${100_000 + index}:settings`],
  ["ids alone", (index) => index.toString(36)],
];

describe("shardOf", () => {
  it.each(forms)("spreads %s evenly: a shard that is much larger than the others is copied for longer, and weighs more", (_form, key) => {
    const sizes = new Array<number>(SHARDS).fill(0);
    for (let index = 0; index < KEYS; index += 1) sizes[shardOf(key(index), SHARDS)]! += 1;
    expect(Math.max(...sizes) / (KEYS / SHARDS)).toBeLessThan(1.1);
  });

  it("gives every key a shard, however short it is", () => {
    for (const key of ["", "a", "ab", "abc", "\u{1f600}"]) expect(shardOf(key, 3)).toBeOneOf([0, 1, 2]);
  });
});

describe("shardsFor", () => {
  it("keeps one Map while that is copied quickly, and otherwise shards that fill their Maps", () => {
    expect([1, 1_000, 100_000, 100_001, 1_000_000].map(shardsFor)).toEqual([1, 1, 1, 7, 63]);
    expect(shardsFor(Number.POSITIVE_INFINITY)).toBeGreaterThan(1);
    expect(shardsFor(2 ** 40)).toBeLessThanOrEqual(65_536);
  });
});
