import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import { isSyncOn } from "./is-sync-on.ts";

const baseUrl = "http://127.0.0.1:1/v1";

it.each<[isOn: boolean, settings: Parameters<typeof createSettings>[0]]>([
  [false, {}],
  [true, { openaiApiKey: "a" }],
  [true, { openaiBaseUrl: baseUrl }],
  [true, { anthropicApiKey: "a" }],
  [true, { anthropicBaseUrl: baseUrl }],
  [true, { providers: { one: { baseUrl } } }],
  [false, { providers: { one: { baseUrl } }, syncSources: ["none"] }],
  [true, { syncSources: ["openrouter"] }],
  // A contradiction, which the sources refuse: sync was off, and nobody said so.
  [true, { syncSources: ["none", "openrouter"] }],
])("is %s with %j", (isOn, settings) => {
  expect(isSyncOn(createSettings(settings))).toBe(isOn);
});
