import { pino } from "pino";
import { expect, it } from "vitest";
import { createSettings } from "../config/read-settings.ts";
import { warnOfMixedVectors } from "./warn-of-dead-settings.ts";

const to = (provider: string, model?: string) => ({ provider, ...(model ? { model } : {}) });

it.each([
  ["two models", { model: "text-embedding-3-small", targets: [to("a"), to("b", "nomic-embed-text")] }, true],
  ["a fallback with another model", { model: "vectors", targets: [to("a", "voyage-3.5")], fallbacks: [to("b", "BAAI/bge-m3")] }, true],
  ["a fallback with another model than where the name leads", { model: "mistral-embed", fallbacks: [to("b", "embed-v4.0")] }, true],
  ["one model for all names of a kind", { model: "text-embedding-*", targets: [to("a"), to("b", "nomic-embed-text")] }, true],
  ["one model at two providers", { model: "text-embedding-3-small", targets: [to("a"), to("b")] }, false],
  ["one model, with its maker's name at one of them", { model: "bge-m3", targets: [to("a"), to("b", "BAAI/bge-m3")] }, false],
  ["an own name for one model", { model: "vectors", targets: [to("a", "bge-m3"), to("b", "baai/bge-m3")] }, false],
  ["chat models", { model: "fast", targets: [to("a", "gpt-5-mini"), to("b", "claude-haiku-4-5")] }, false],
])("warns of a route that would mix vectors of several models: %s", (_name, route, isWarned) => {
  const lines: string[] = [];
  warnOfMixedVectors(createSettings({ routes: [route] }), pino({}, { write: (line: string) => void lines.push(line) }));
  expect(lines.map((line) => JSON.parse(line).route)).toEqual(isWarned ? [route.model] : []);
});
