import { encodeBody, type InvalidationTarget, matchesGlob, toVersionState, VersionRecord } from "@larder/cache-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LaneLog } from "./lane-log.ts";

const target: fc.Arbitrary<InvalidationTarget> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("11", "12").map((key) => ({ kind: "key" as const, key })) },
  { weight: 3, arbitrary: fc.constantFrom("a", "b").map((tag) => ({ kind: "tag" as const, tag })) },
  { weight: 6, arbitrary: fc.constantFrom("1*", "?2", "3?", "12").map((pattern) => ({ kind: "pattern" as const, pattern })) },
  { weight: 1, arbitrary: fc.constant({ kind: "all" as const }) },
);

function append(log: LaneLog, told: InvalidationTarget, limit = 1_000): number {
  const subject = told.kind === "pattern" ? told.pattern : told.kind === "tag" ? told.tag : told.kind === "key" ? told.key : "";
  return log.append(encodeBody("origin", told), told.kind, subject, limit)[1];
}

describe("a lane's log in memory", () => {
  it("has a record by which no entry is valid that an invalidation of all, a tag or a pattern has dropped, and every other one is, however often a pattern comes", () => {
    fc.assert(
      fc.property(fc.array(target, { minLength: 1, maxLength: 80, size: "max" }), (targets) => {
        const log = new LaneLog("epoch");
        for (const told of targets) append(log, told);
        const record = new VersionRecord(toVersionState(log.state()));
        for (let seq = 0; seq <= targets.length; seq += 1) {
          const since = targets.slice(seq);
          for (const key of ["11", "12", "22", "44"]) {
            const isDropped = since.some((told) => told.kind === "all" || (told.kind === "pattern" && matchesGlob(told.pattern, key)));
            const judgement = record.judge({ epoch: "epoch", seq }, key, ["a"]);
            if (isDropped) expect(judgement).toBe("invalid");
            else expect(judgement).toBe(since.some(({ kind }) => kind === "tag") ? "unknown" : "valid");
          }
        }
        expect(record.judge({ epoch: "epoch", seq: targets.length }, "11", [])).toBe("valid");
      }),
    );
  });

  it("tells apart thirty-two patterns and no more: the older ones become one of all", () => {
    const log = new LaneLog("epoch");
    for (let index = 0; index < 33; index += 1) append(log, { kind: "pattern", pattern: `p${index}` });
    const { patterns, clearedAt } = toVersionState(log.state());
    expect([patterns.length, clearedAt]).toEqual([17, 16]);
    append(log, { kind: "all" });
    expect(toVersionState(log.state())).toMatchObject({ patterns: [], clearedAt: 34 });
  });

  it("keeps as many of the last entries as it is asked to, and gives them in pages", () => {
    const log = new LaneLog("epoch");
    for (let index = 0; index < 10; index += 1) append(log, { kind: "key", key: `${index}` }, 4);
    const ids = (from: number, count: number): string[] => log.page(from, count)[2].map(([id]) => id);
    expect(ids(1, 100)).toEqual(["7-0", "8-0", "9-0", "10-0"]);
    expect(ids(9, 100)).toEqual(["9-0", "10-0"]);
    expect(ids(7, 2)).toEqual(["7-0", "8-0"]);
    expect(ids(11, 2)).toEqual([]);
    expect(log.page(1, 1).slice(0, 2)).toEqual(["epoch", 10]);
  });
});
