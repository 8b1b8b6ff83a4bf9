import { pino } from "pino";
import { expect, it } from "vitest";
import { logBreakers } from "./log-breakers.ts";

it("tells of a provider that is taken for down once a minute, however many tenants it fails", () => {
  const lines: string[] = [];
  let now = 0;
  const tell = logBreakers(pino({}, { write: (line: string) => void lines.push(line) }), () => now);
  for (let tenant = 0; tenant < 100; tenant += 1) tell("one");
  tell("other");
  now = 59_999;
  tell("one");
  expect(lines.map((line) => (JSON.parse(line) as { providerId: string }).providerId)).toEqual(["one", "other"]);
  now = 60_000;
  tell("one");
  expect(lines).toHaveLength(3);
});
