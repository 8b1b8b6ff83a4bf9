import { pino } from "pino";
import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import { operatorProviders } from "./operator-providers.ts";
import { ProviderTable } from "./provider-table.ts";
import type { Upstream } from "./upstream.ts";
import { warnOfSandbox } from "./warn-of-sandbox.ts";

it("warns of a sandbox that answers beside other providers, and not of one that is all there is", () => {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const warned = (given: Parameters<typeof createSettings>[0]): boolean => {
    const settings = createSettings(given);
    const { providers, fallback, anthropic } = operatorProviders(settings, {} as Upstream);
    lines.length = 0;
    warnOfSandbox(new ProviderTable(settings, providers, fallback, anthropic), log);
    return lines.length > 0;
  };
  const providers = { one: { baseUrl: "http://127.0.0.1:1/v1" } };
  expect([warned({}), warned({ anthropicApiKey: "a" }), warned({ providers }), warned({ providers, openaiApiKey: "a" })]).toEqual([
    ...[false, true, true, false],
  ]);
});
