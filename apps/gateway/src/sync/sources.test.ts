import { expect, test } from "vitest";
import { openSources } from "./sources.ts";

test("opens what is named, at the addresses that are given", () => {
  expect(openSources(["litellm", "mine=https://mine.example/v1"]).map(({ name }) => name)).toEqual(["litellm", "models:mine"]);
});

test.each([
  ["an unknown source", ["mine"]],
  ["an empty address", ["litellm="]],
  ["an address that cannot be read", ["litellm=https://"]],
  ["an address that cannot be read", ["mine=http://mine.example:port/v1"]],
  ["the source litellm twice", ["litellm", "litellm=https://mine.example/prices"]],
])("refuses %s, by the setting's name", (what, names) => {
  expect(() => openSources(names)).toThrow(new RegExp(`LARDER_SYNC_SOURCES .*${what}`));
});
