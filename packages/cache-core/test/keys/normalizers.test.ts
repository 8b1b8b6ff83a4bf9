import { describe, expect, test } from "vitest";
import { compareRequests } from "../../src/explain.ts";
import { type Endpoint, KeyScopes, readRequest, requestKey } from "../../src/keys.ts";
import { dropSystemDate, type Normalizer, normalizeRequest, renumberToolCalls, trimTrailingSpace } from "../../src/normalize.ts";

function normalize(endpoint: Endpoint, body: Record<string, unknown>, ...normalizers: Normalizer[]) {
  const before = structuredClone(body);
  const { request, changes } = normalizeRequest(readRequest(endpoint, body), normalizers);
  expect(body).toEqual(before);
  const key = requestKey(new KeyScopes().of({ endpoint, tenant: "a" }), request);
  return { body: request.body, paths: changes.map(({ path }) => path), key };
}

const chatTurn = (first: string, second: string) => ({
  messages: [
    {
      role: "assistant",
      tool_calls: [
        { id: first, function: {} },
        { id: second, function: {} },
      ],
    },
    { role: "tool", tool_call_id: second, content: "2" },
    { role: "tool", tool_call_id: first, content: "1" },
  ],
});

describe("renumbering tool calls", () => {
  test("makes one key of two turns that differ by made-up ids", () => {
    const one = normalize("chat", chatTurn("call_x1", "call_y2"), renumberToolCalls);
    expect(one.key).toBe(normalize("chat", chatTurn("abc", "def"), renumberToolCalls).key);
    expect(one.body).toEqual(chatTurn("call_1", "call_2"));
    expect(one.paths).toEqual([
      "messages[0].tool_calls[0].id",
      "messages[0].tool_calls[1].id",
      "messages[1].tool_call_id",
      "messages[2].tool_call_id",
    ]);
  });

  test("keeps apart which answer belongs to which call, and does not merge an id with a number already used", () => {
    const crossed = chatTurn("a", "b");
    crossed.messages[1] = { role: "tool", tool_call_id: "a", content: "2" };
    expect(normalize("chat", crossed, renumberToolCalls).key).not.toBe(normalize("chat", chatTurn("a", "b"), renumberToolCalls).key);
    expect(normalize("chat", chatTurn("call_2", "call_1"), renumberToolCalls).body).toEqual(chatTurn("call_1", "call_2"));
    expect(normalize("chat", chatTurn("a", "a"), renumberToolCalls).key).not.toBe(
      normalize("chat", chatTurn("a", "b"), renumberToolCalls).key,
    );
  });

  test("knows the ids of messages and responses", () => {
    const messages = (id: string) => ({
      messages: [
        { role: "assistant", content: [{ type: "tool_use", id }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "1" }] },
      ],
    });
    expect(normalize("messages", messages("toolu_9"), renumberToolCalls).body).toEqual(messages("call_1"));
    const input = (id: string) => ({
      input: [
        { type: "function_call", call_id: id },
        { type: "function_call_output", call_id: id },
      ],
    });
    expect(normalize("responses", input("call_9"), renumberToolCalls).body).toEqual(input("call_1"));
    expect(normalize("responses", { input: "id" }, renumberToolCalls).paths).toEqual([]);
  });
});

describe("trimming trailing white space", () => {
  test("touches the ends of texts alone", () => {
    const parts = [
      { type: "text", text: "b\n" },
      { type: "image_url", image_url: { url: "u " } },
    ];
    const { body, paths } = normalize(
      "chat",
      {
        messages: [
          { role: "user", content: " a  a \n" },
          { role: "user", content: parts },
        ],
        stop: " ",
      },
      trimTrailingSpace,
    );
    expect(body.messages).toMatchObject([{ content: " a  a" }, { content: [{ text: "b" }, { image_url: { url: "u " } }] }]);
    expect(body.stop).toBe(" ");
    expect(paths).toEqual(["messages[0].content", "messages[1].content[0].text"]);
  });

  test("knows where each endpoint has its text, and leaves embeddings alone", () => {
    expect(normalize("completion", { prompt: "a " }, trimTrailingSpace).body).toEqual({ prompt: "a" });
    expect(normalize("image", { prompt: "a " }, trimTrailingSpace).body).toEqual({ prompt: "a" });
    expect(normalize("responses", { instructions: "a ", input: "b " }, trimTrailingSpace).body).toEqual({ instructions: "a", input: "b" });
    expect(
      normalize("messages", { system: [{ text: "a " }], messages: [{ role: "user", content: "b " }] }, trimTrailingSpace).body,
    ).toEqual({
      system: [{ text: "a" }],
      messages: [{ role: "user", content: "b" }],
    });
    expect(normalize("embedding", { input: "a " }, trimTrailingSpace).body).toEqual({ input: "a " });
  });
});

describe("dropping the date of a system prompt", () => {
  const prompt = (date: string, role = "system") => ({ messages: [{ role, content: `Today is ${date}. Be brief.` }] });
  const key = (body: Record<string, unknown>) => normalize("chat", body, dropSystemDate()).key;

  test.each([
    "2026-11-22",
    "2026-11-22T10:13:21Z",
    "2026-11-22 10:13:21.5+01:00",
    "November 22, 2026",
    "Sunday, November 22, 2026",
    "Sunday, 22 November 2026",
  ])("knows %s", (date) => {
    expect(key(prompt(date))).toBe(key(prompt("2026-11-21")));
    expect(key(prompt(date, "developer"))).toBe(key(prompt("2026-11-21", "developer")));
  });

  test("leaves dates in the conversation, and what is no date", () => {
    expect(key(prompt("2026-11-22", "user"))).not.toBe(key(prompt("2026-11-21", "user")));
    expect(normalize("chat", prompt("version 10.2.3 of 2026"), dropSystemDate()).paths).toEqual([]);
    expect(normalize("responses", { instructions: "It is 2026-11-22." }, dropSystemDate()).body.instructions).toBe(
      "It is \u27e8date\u27e9.",
    );
  });

  test("takes a pattern, which is part of the key", () => {
    const weekly = dropSystemDate(/week \d+/g);
    const [one, other] = [normalize("chat", prompt("week 47"), weekly), normalize("chat", prompt("week 48"), weekly)];
    expect(one.key).toBe(other.key);
    expect(normalize("chat", prompt("week 47"), dropSystemDate(/week \d\d/g)).key).not.toBe(one.key);
    expect(() => dropSystemDate(/week/)).toThrow("flag g");
  });
});

test("no normalizer runs over a request with a number that no double holds, wherever it stands among others", () => {
  const ask = (seed: string) => {
    const body = Buffer.from(`{"seed":${seed},"stop":"a ","temperature":1.0,"top_p":0.50,"messages":[[1e0]]}`);
    return normalizeRequest(readRequest("chat", body), [trimTrailingSpace]);
  };
  const [one, next] = [ask("9007199254740993"), ask("9007199254740992.5")];
  expect([one.skipped, next.skipped, ask("7").skipped]).toEqual(["inexact-numbers", "inexact-numbers", undefined]);
  expect(one.request.keyForm()).not.toBe(next.request.keyForm());
});

test("a request is not the same under normalizers as without them, though they changed nothing: its key is another", () => {
  const plain = readRequest("chat", { messages: [] });
  const { request } = normalizeRequest(plain, [trimTrailingSpace]);
  expect(compareRequests(plain, request)).toEqual({ isSame: false, differences: [] });
  expect(compareRequests(request, normalizeRequest(plain, [trimTrailingSpace]).request).isSame).toBe(true);
});

test("normalizers whose names differ have keys that differ, in any script", () => {
  const key = (pattern: RegExp) => normalize("chat", { messages: [] }, dropSystemDate(pattern)).key;
  // U+65E5 and U+00E5 end in the same byte.
  expect(key(/\u65e5/g)).not.toBe(key(/\u00e5/g));
  expect(key(/日/g)).not.toBe(key(/å/g));
  expect(key(/日/g)).toBe(key(/日/g));
});

test("a key made under normalizers is not that of a request that says literally the same", () => {
  const plain = requestKey(new KeyScopes().of({ endpoint: "completion", tenant: "a" }), readRequest("completion", { prompt: "a" }));
  expect(normalize("completion", { prompt: "a " }, trimTrailingSpace).key).not.toBe(plain);
  expect(normalize("completion", { prompt: "a" }, trimTrailingSpace).key).not.toBe(plain);
  expect(normalize("completion", { prompt: "a" }).key).toBe(plain);
});
