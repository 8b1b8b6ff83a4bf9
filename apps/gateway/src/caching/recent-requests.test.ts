import { KeyScopes, readRequest } from "@larder/cache-core/keys";
import { ManualClock } from "@larder/cache-testing";
import { expect, it } from "vitest";
import { OTHER_FIELDS } from "./field-digests.ts";
import { nearestRequest, nearMisses, RecentRequests } from "./recent-requests.ts";

const scopes = new KeyScopes();
const scope = scopes.of({ endpoint: "chat", tenant: "t" });
const request = (fields: Record<string, unknown>) => readRequest("chat", Buffer.from(JSON.stringify({ model: "m", ...fields })));
const unknownFields = (count: number, value: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`field_${index}`, value]));

it("counts the requests that one field alone keeps apart, those that lack it included", () => {
  const recent = new RecentRequests();
  for (const [key, fields] of [
    ["a", { messages: [1], seed: 1 }],
    ["b", { messages: [1], seed: 2 }],
    ["c", { messages: [1] }],
    ["d", { messages: [2], seed: 3, top_p: 1 }],
  ] as const)
    recent.add(scope, request(fields), key);
  expect(nearMisses(recent.all)).toEqual([{ field: "seed", requests: 3, entries: 1 }]);
});

it("does not blame a field for what the namespace, the tenant or a second field keeps apart, nor count one request twice", () => {
  const recent = new RecentRequests();
  recent.add(scope, request({ seed: 1 }), "a");
  recent.add(scope, request({ seed: 1 }), "a");
  recent.add(scopes.of({ endpoint: "chat", tenant: "t", namespace: "n" }), request({ seed: 2 }), "b");
  recent.add(scopes.of({ endpoint: "chat", tenant: "u" }), request({ seed: 3 }), "c");
  recent.add(scope, request({ seed: 4, top_p: 0.5 }), "d");
  expect(nearMisses(recent.all)).toEqual([]);
});

it("does not confuse two fields that have swapped their values", () => {
  const recent = new RecentRequests();
  recent.add(scope, request({ a: "x", b: "y", seed: 1 }), "a");
  recent.add(scope, request({ a: "y", b: "x", seed: 2 }), "b");
  expect(nearMisses(recent.all)).toEqual([]);
});

// 20,000 fields each, and the process ended for want of memory after some 60 requests of 250 KB.
it("tells what lies beyond the fields of the API as one, so that a request takes no more room however many it has", () => {
  const recent = new RecentRequests();
  recent.add(scope, request({ messages: [1], ...unknownFields(500, 1), [`n${"x".repeat(300)}`]: 1 }), "a");
  recent.add(scope, request({ messages: [1], ...unknownFields(499, 1), field_499: 2, [`n${"x".repeat(300)}`]: 1 }), "b");
  expect(nearMisses(recent.all)).toEqual([{ field: OTHER_FIELDS, requests: 2, entries: 1 }]);
  const nearest = nearestRequest(recent.all, scope, request({ messages: [2], ...unknownFields(500, 3) }), "c");
  expect(nearest?.differs).toHaveLength(32);
  expect(nearest?.differs).toEqual(expect.arrayContaining(["messages", OTHER_FIELDS]));
});

// At 7,000 misses a second those remembered were of the last quarter of a second.
it("remembers at most two hundred a second, so that it knows of more than the last moment", () => {
  const clock = new ManualClock();
  const recent = new RecentRequests(clock);
  for (let index = 0; index < 300; index += 1) recent.add(scope, request({ seed: index }), `first ${index}`);
  clock.advance(1_000);
  for (let index = 0; index < 300; index += 1) recent.add(scope, request({ seed: index }), `second ${index}`);
  const keys = recent.all.map(({ key }) => key);
  expect(keys).toHaveLength(400);
  expect(keys).toEqual(expect.arrayContaining(["first 0", "first 199", "second 0", "second 199"]));
});

it("counts a request once that several workers remember, and compares those of one with those of another", () => {
  const workers = [new RecentRequests(), new RecentRequests()] as const;
  for (const recent of workers) recent.add(scope, request({ messages: [1], seed: 1 }), "a");
  workers[1].add(scope, request({ messages: [1], seed: 2 }), "b");
  const told = JSON.parse(JSON.stringify(workers.flatMap((recent) => recent.all)));
  expect(nearMisses(told)).toEqual([{ field: "seed", requests: 2, entries: 1 }]);
});
