import { expect, it } from "vitest";
import { misspeltVariables } from "./misspelt-variables.ts";
import { settingVariables } from "./read-settings.ts";

const found = (...names: string[]): string[] =>
  misspeltVariables(Object.fromEntries(names.map((name) => [name, "x"])), settingVariables).map(
    ({ variable, meant }) => `${variable} > ${meant}`,
  );

it("names variables that miss a setting by a letter or two", () => {
  expect(found("LARDER_ATUH", "LARDER_CACHE_TTLS", "LARDER_MASTERKEY")).toEqual([
    "LARDER_ATUH > LARDER_AUTH",
    "LARDER_CACHE_TTLS > LARDER_CACHE_TTL",
    "LARDER_MASTERKEY > LARDER_MASTER_KEY",
  ]);
});

it("says nothing of settings, of what other programs read, and of names that are nobody's", () => {
  expect(
    found(...settingVariables, "LARDER_CONFIG", "LARDER_POSTGRES_URL", "LARDER_REDIS_SERVER", "LARDER_SYNC_KEY_OPENROUTER", "PROT"),
  ).toEqual([]);
});
