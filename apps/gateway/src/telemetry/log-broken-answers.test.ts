import { pino } from "pino";
import { expect, it } from "vitest";
import { UpstreamFailure } from "../upstream/upstream-failure.ts";
import { logBrokenAnswers } from "./log-broken-answers.ts";

it("tells of broken answers once a minute for each provider, and how many it has not told", () => {
  const lines: string[] = [];
  let now = 0;
  const tell = logBrokenAnswers(pino({}, { write: (line: string) => void lines.push(line) }), () => now);
  const failure = new UpstreamFailure("In our words.", { status: 502, cause: Object.assign(new Error("canary"), { code: "ECONNRESET" }) });
  const broken = (providerId: string): void => tell({ providerId, requestId: `req_${now}`, endpoint: "chat", failure });
  for (let count = 0; count < 100; count += 1) broken("one");
  broken("other");
  now = 59_999;
  broken("one");
  now = 60_000;
  broken("one");
  const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(told.map(({ providerId, others }) => [providerId, others])).toEqual([
    ["one", 0],
    ["other", 0],
    ["one", 100],
  ]);
  expect(told[2]).toMatchObject({ requestId: "req_60000", endpoint: "chat", status: 502, problem: "In our words.", code: "ECONNRESET" });
  expect(lines.join()).not.toContain("canary");
});
