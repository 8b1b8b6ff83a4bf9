import { expect, test } from "vitest";
import { openSources } from "./sources.ts";

test("opens what is named, at the addresses that are given", () => {
  expect(openSources(["litellm", "mine=https://mine.example/v1"]).map(({ name }) => name)).toEqual(["litellm", "models:mine"]);
});

test.each([
  ["an unknown source", ["mine"]],
  ["an empty address", ["litellm="]],
  ["the source litellm twice", ["litellm", "litellm=https://mine.example/prices"]],
])("refuses %s, by the setting's name", (what, names) => {
  expect(() => openSources(names)).toThrow(new RegExp(`LARDER_SYNC_SOURCES .*${what}`));
});
