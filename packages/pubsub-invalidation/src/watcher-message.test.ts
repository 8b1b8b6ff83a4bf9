import { describe, expect, it } from "vitest";
import { parseWatcherMessage } from "./watcher-message.ts";

const question = { larder: 1, kind: "ask", from: "a", id: 1, key: "k" };
const answer = { larder: 1, kind: "answer", from: "b", to: "a", id: 1, ageMs: 5, version: 2 };

describe("a watcher's message", () => {
  it.each([
    ["a question", question],
    ["an answer", answer],
    ["an answer of one that holds nothing", { larder: 1, kind: "answer", from: "b", to: "a", id: 1 }],
  ])("is read: %s", (_, message) => {
    expect(parseWatcherMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each<readonly [string, unknown]>([
    ["null", null],
    ["a number", 5],
    ["a list", [1]],
    ["of another program", { ...question, larder: 2 }],
    ["of no sender", { ...question, from: undefined }],
    ["of a sender that is no text", { ...answer, from: 5 }],
    ["of no number", { ...question, id: "1" }],
    ["of another kind", { ...question, kind: "tell" }],
    ["a question without a key", { ...question, key: undefined }],
    ["a question for what is no key", { ...question, key: {} }],
    ["an answer to nobody", { ...answer, to: undefined }],
    ["an answer with a key", { ...answer, to: 5, key: "k" }],
    ["an age that is no number", { ...answer, ageMs: "5" }],
    ["a version that is no number", { ...answer, version: null }],
  ])("is not %s", (_, message) => {
    expect(parseWatcherMessage(JSON.stringify(message))).toBeUndefined();
  });

  it("is no longer than 64 KB", () => {
    const ofLength = (length: number): string =>
      JSON.stringify({ ...question, key: "k".repeat(length - JSON.stringify(question).length + 1) });
    expect(parseWatcherMessage(ofLength(65_536))).toMatchObject({ id: 1 });
    expect(parseWatcherMessage(ofLength(65_537))).toBeUndefined();
    expect(parseWatcherMessage("{")).toBeUndefined();
  });
});
