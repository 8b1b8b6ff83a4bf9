import { describe, expect, it } from "vitest";
import { toVersionState, VersionRecord } from "./version-record.ts";

const at = (seq: number, epoch = "e") => ({ epoch, seq });
const record = (state: Partial<ConstructorParameters<typeof VersionRecord>[0]> = {}) =>
  new VersionRecord({ epoch: "e", seq: 10, clearedAt: 0, taggedAt: 0, patterns: [], ...state });

describe("VersionRecord", () => {
  it("takes an entry of the current epoch that nothing covers for valid, and one of another epoch never", () => {
    expect(record().judge(at(0), "k", [])).toBe("valid");
    expect(record().judge(at(10, "other"), "k", [])).toBe("invalid");
  });

  it("drops entries from before an invalidation of all, and keeps those from its place on", () => {
    const known = record();
    known.apply(11, { kind: "all" });
    expect(known.judge(at(10), "k", [])).toBe("invalid");
    expect(known.judge(at(11), "k", [])).toBe("valid");
    expect(known.seq).toBe(11);
  });

  it("drops only what a pattern matches", () => {
    const known = record();
    known.apply(11, { kind: "pattern", pattern: "user:*" });
    expect(known.judge(at(10), "user:1", [])).toBe("invalid");
    expect(known.judge(at(10), "model:1", [])).toBe("valid");
    expect(known.judge(at(11), "user:1", [])).toBe("valid");
  });

  it("drops what a key had before its own invalidation, at whatever server it is still found, and nothing of other keys", () => {
    const known = record();
    known.apply(12, { kind: "key", key: "k" });
    known.apply(11, { kind: "key", key: "k" });
    expect(known.judge(at(11), "k", [])).toBe("invalid");
    expect(known.judge(at(12), "k", [])).toBe("valid");
    expect(known.judge(at(11), "other", [])).toBe("valid");
  });

  it("tells the last thousand keys apart, by when each was invalidated last", () => {
    const known = record();
    for (const seq of [11, 1_012]) known.apply(seq, { kind: "key", key: "often" });
    for (let seq = 1_013; seq < 2_012; seq += 1) known.apply(seq, { kind: "key", key: `k${seq}` });
    expect(known.judge(at(10), "often", [])).toBe("invalid");
    for (let seq = 2_012; seq < 3_013; seq += 1) known.apply(seq, { kind: "key", key: `k${seq}` });
    expect(known.judge(at(10), "often", [])).toBe("valid");
    expect(known.judge(at(10), "k2013", [])).toBe("invalid");
  });

  it("knows nothing of a tag until it was heard or read, and says so only for entries older than the last tag", () => {
    const known = record();
    known.apply(11, { kind: "tag", tag: "red" });
    expect(known.judge(at(10), "k", ["red"])).toBe("invalid");
    expect(known.judge(at(10), "k", ["blue"])).toBe("unknown");
    expect(known.unknownTags(["red", "blue"])).toEqual(["blue"]);
    expect(known.judge(at(11), "k", ["blue"])).toBe("valid");
    known.learnTag("blue", 5);
    expect(known.judge(at(10), "k", ["blue"])).toBe("valid");
    expect(known.judge(at(4), "k", ["blue"])).toBe("invalid");
  });

  it("is not taken back by repeated and older messages", () => {
    const known = record({ clearedAt: 8 });
    known.apply(5, { kind: "all" });
    known.apply(5, { kind: "all" });
    expect(known.judge(at(7), "k", [])).toBe("invalid");
    expect(known.seq).toBe(10);
  });

  it("takes in a pattern at a place where another one was heard, which may have been forged", () => {
    const known = record();
    known.apply(11, { kind: "pattern", pattern: "old:*" });
    for (let round = 0; round < 100; round += 1) known.apply(11, { kind: "pattern", pattern: "user:*" });
    expect(known.judge(at(10), "user:1", [])).toBe("invalid");
    expect(known.judge(at(10), "model:1", [])).toBe("valid");
  });

  it("takes a pattern that comes again and again for one, by its last place", () => {
    const known = record();
    for (let seq = 50; seq <= 150; seq += 1) known.apply(seq, { kind: "pattern", pattern: "user:*" });
    known.apply(49, { kind: "pattern", pattern: "user:*" });
    expect([known.judge(at(149), "user:1", []), known.judge(at(150), "user:1", [])]).toEqual(["invalid", "valid"]);
    expect(known.judge(at(10), "model:1", [])).toBe("valid");
  });

  it("forgets no pattern when there are too many, but drops more than was asked", () => {
    const known = record();
    for (let seq = 11; seq <= 60; seq += 1) known.apply(seq, { kind: "pattern", pattern: `p${seq}:*` });
    for (let seq = 11; seq <= 60; seq += 1) expect(known.judge(at(10), `p${seq}:x`, [])).toBe("invalid");
    expect(known.judge(at(60), "p11:x", [])).toBe("valid");
  });

  it("gives old tags up rather than grow without end, and then says that it does not know", () => {
    const known = record();
    for (let tag = 0; tag < 10_100; tag += 1) known.apply(11 + tag, { kind: "tag", tag: `t${tag}` });
    expect(known.judge(at(10), "k", ["t0"])).toBe("unknown");
    expect(known.judge(at(10), "k", ["t10099"])).toBe("invalid");
  });

  it("reads what the check script answers, with fields that are not there as none", () => {
    expect(toVersionState(["e", "5", null, undefined, null])).toEqual({ epoch: "e", seq: 5, clearedAt: 0, taggedAt: 0, patterns: [] });
    expect(toVersionState([Buffer.from("e"), "5", "2", "3", '[[4,"a*"]]'])).toMatchObject({ patterns: [{ seq: 4, pattern: "a*" }] });
  });

  it.each([
    ["e", "many", "0", "0", ""],
    ["e", "5", "-1", "0", ""],
    ["e", "5", "0", "1e3", ""],
    ["e", "1234567890123456", "0", "0", ""],
    ["e", "5", "0", "0", "null"],
    ["e", "5", "0", "0", "[["],
    ["e", "5", "0", "0", '[["x","y"]]'],
    ["e", "5", "0", "0", "[1]"],
  ])("is of no epoch when it cannot be read: %s %s %s %s %s", (...fields) => {
    expect(toVersionState(fields)).toEqual({ epoch: "", seq: 0, clearedAt: 0, taggedAt: 0, patterns: [] });
  });
});
