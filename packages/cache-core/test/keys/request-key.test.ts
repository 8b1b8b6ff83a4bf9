import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { CacheError } from "../../src/index.ts";
import { canonicalJson, KeyScopes, partitionOf, type RequestHeaders, type Route, readRequest, requestKey } from "../../src/keys.ts";
import { bytesOf, chatBody, keyOf } from "./fixtures.ts";

const chat = (value: Record<string, unknown>): string => keyOf({ ...chatBody, ...value });

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (CacheError.is(error) && error.code === "ERR_CACHE_INVALID_REQUEST") return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

test("a key is format, partition, endpoint, model and digest", () => {
  expect(keyOf(chatBody)).toMatch(new RegExp(`^1:${partitionOf("acme")}:chat:gpt-4o-mini:[0-9a-f]{64}$`));
  expect(keyOf({ prompt: "a" }, "image")).toMatch(/^1:[0-9a-f]{16}:image:-:[0-9a-f]{64}$/);
  expect(keyOf({ model: 5 }, "completion")).toMatch(/:completion:-:/);
});

test("a digest can be made by hand: SHA-256 of the scope's digest, the route and the canonical JSON", () => {
  // A change here is a change of format: it must come with another number in front of the keys, since stored entries are missed.
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const scope = sha256(JSON.stringify(["larder-scope", "1", "chat", "acme", "", ""]));
  const { temperature, ...rest } = chatBody;
  const digest = sha256(`${scope}["https://a/v1","n"]${canonicalJson({ temperature, ...rest })}`);
  const route = { baseUrl: "https://a/v1", model: "n" };
  expect(keyOf({ ...chatBody, stream: true }, "chat", "acme", route)).toBe(`1:c468eb805f5879b7:chat:gpt-4o-mini:${digest}`);
  expect(keyOf(chatBody)).toBe("1:c468eb805f5879b7:chat:gpt-4o-mini:ef3ec7f8121af11f2c094ef0a199acf4b86c60f116f1c471a378578022cc497b");
});

test("order of properties, white space and spelling of numbers and strings do not matter", () => {
  const compact = bytesOf('{"model":"m","messages":[{"role":"user","content":"\u00e9/"}],"temperature":1}');
  const other = bytesOf('{ "temperature" : 1.0e0,\n"messages":[ {"content":"\\u00E9\\/","role":"user"} ], "model":"m" }\n');
  expect(keyOf(other)).toBe(keyOf(compact));
  expect(keyOf(JSON.parse(compact.toString()))).toBe(keyOf(compact));
});

// reliability S1; seed W3.1: fields joined by NUL.
test("content that holds a separator does not run into the next field", () => {
  const messages = (...contents: string[]) => chat({ messages: contents.map((content) => ({ role: "user", content })) });
  expect(messages("a\0b", "c")).not.toBe(messages("a", "b\0c"));
  expect(messages('a","b')).not.toBe(messages("a", "b"));
  expect(messages("a")).not.toBe(chat({ messages: [{ role: "assistant", content: "a" }] }));
  expect(chat({ stop: ["a", "b"] })).not.toBe(chat({ stop: ["b", "a"] }));
});

// reliability S2; seed W3.2: a lone surrogate threw, or became U+FFFD like every other.
test("lone surrogates are told apart, from bytes and from values", () => {
  const content = (text: string) => chat({ messages: [{ role: "user", content: text }] });
  const keys = ["\ud800", "\ud801", "\udc00", "\ufffd", "\ud800\udc00", "\udc00\ud800", "\\ud800"].map(content);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keyOf(bytesOf('{"stop":"\\uD800"}'))).toBe(keyOf({ stop: "\ud800" }));
  expect(keyOf(bytesOf('{"stop":"\\ud83d\\ude00"}'))).toBe(keyOf({ stop: "\u{1f600}" }));
});

test("composed and decomposed text, and names that only look alike, are told apart", () => {
  expect(chat({ stop: "\u00e9" })).not.toBe(chat({ stop: "e\u0301" }));
  expect(chat({ "\u00e9": 1 })).not.toBe(chat({ "e\u0301": 1 }));
});

// reliability S3; seeds W2.2, W3.2.
test("bytes of another realm are bytes", () => {
  const body = runInNewContext("new Uint8Array([123, 34, 97, 34, 58, 49, 125])") as Uint8Array;
  expect(body instanceof Uint8Array).toBe(false);
  expect(canonicalJson(body)).toBe('{"a":1}');
  expect(readRequest("exact", body).body).toEqual({ a: 1 });
});

describe("numbers", () => {
  const temperature = (token: string) => keyOf(bytesOf(`{"temperature":${token}}`));

  test("are one number in every spelling", () => {
    for (const token of ["1.0", "1e0", "10e-1", "0.1E+1", "1.000000000000000000000"]) expect(temperature(token)).toBe(temperature("1"));
    for (const token of ["-0", "0.0", "0e9", "-0e-9"]) expect(temperature(token)).toBe(temperature("0"));
    expect(keyOf({ temperature: -0 })).toBe(keyOf({ temperature: 0 }));
  });

  test("keep every digit", () => {
    const tokens = [
      "9007199254740992",
      "9007199254740993",
      "0.1",
      "0.10000000000000001",
      "1e400",
      "1e401",
      "1e-400",
      "1e-401",
      "5e-324",
      "4e-324",
    ];
    expect(new Set(tokens.map(temperature)).size).toBe(tokens.length);
    expect(temperature("0.0001")).not.toBe(temperature("0.0004"));
  });

  test("are not their text, and one field's number is not another's", () => {
    expect(temperature("1")).not.toBe(temperature('"1"'));
    expect(keyOf({ temperature: 1 })).not.toBe(keyOf({ max_tokens: 1000 }));
    expect(keyOf({ temperature: 1 })).not.toBe(keyOf({ top_p: 1 }));
    expect(temperature("null")).not.toBe(keyOf({}));
  });

  test("with absurd exponents are refused instead of computed", () => {
    expect(refusal(() => temperature(`1e${"9".repeat(40)}`))).toContain("exponent");
    expect(temperature(`0e${"9".repeat(40)}`)).toBe(temperature("0"));
    expect(temperature(`1e${"0".repeat(40)}`)).toBe(temperature("1"));
  });

  test("of a megabyte are read in linear time", { timeout: 5_000 }, () => {
    const zeros = "0".repeat(1_000_000);
    expect(temperature(`1${zeros}1`)).not.toBe(temperature(`1${zeros}2`));
    expect(temperature(`0.${zeros}1`)).toBe(temperature("1e-1000001"));
    expect(temperature(`1.${zeros}`)).toBe(temperature("1"));
  });
});

// reliability S21.
test("names of Object.prototype are names like any other", () => {
  const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
  const keys = names.map((name) => keyOf(bytesOf(`{"tools":{"${name}":{"a":1}}}`)));
  expect(new Set([...keys, keyOf(bytesOf('{"tools":{}}'))]).size).toBe(5);
  expect(keyOf(bytesOf('{"__proto__":{"stream":true}}'))).not.toBe(keyOf(bytesOf("{}")));
  const request = readRequest("chat", bytesOf('{"__proto__":{"polluted":true}}'));
  expect(Object.hasOwn(request.body, "__proto__")).toBe(true);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(request.form("constructor")).toBeUndefined();
});

describe("refused with ERR_CACHE_INVALID_REQUEST", () => {
  const refused = (bytes: Buffer | string) => refusal(() => readRequest("chat", typeof bytes === "string" ? bytesOf(bytes) : bytes));

  test("bytes that are not UTF-8, which decoders fold into one", () => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf5, 0x80, 0x80, 0x80]])
      expect(refused(Buffer.concat([bytesOf('{"a":"'), Buffer.from(bytes), bytesOf('"}')]))).toContain("not valid UTF-8");
  });

  test("a name twice in one object, in any spelling, at any depth, in fields that are not in the key too", () => {
    const many = Array.from({ length: 40 }, (_, index) => `"n${index}":1`).join(",");
    for (const text of [
      '{"a":1,"a":1}',
      '{"a":1,"\\u0061":2}',
      '{"tools":[{"b":{"c":1,"d":2,"c":3}}]}',
      '{"metadata":{"a":1,"a":2}}',
      '{"stream":true,"stream":false}',
      `{${many},"n7":1}`,
    ])
      expect(refused(text)).toContain("occurs twice");
  });

  test("what is no JSON object", () => {
    for (const text of ["[]", '"a"', "1", "null"]) expect(refused(text)).toContain("not a JSON object");
    for (const text of [
      "",
      "{",
      '{"a":1',
      '{"a":1}}',
      "{'a':1}",
      '{"a":01}',
      '{"a":"\n"}',
      '{"a":"\\x"}',
      '\ufeff{"a":1}',
      '{"a":tru}',
      '{"a":1,}',
      "{,}",
    ])
      expect(refused(text)).toMatch(/not valid JSON|not a JSON object/);
  });

  test("control characters in a string, wherever it lies", () => {
    for (let offset = 0; offset < 16; offset += 1)
      for (const code of [0, 1, 9, 10, 13, 31]) {
        const text = `{"a":"${"x".repeat(offset)}${String.fromCharCode(code)}${"\u00ff".repeat(16 - offset)}"}`;
        expect(refused(text)).toContain("not valid JSON");
        expect(refused(`${text.slice(0, -1)}  }`)).toContain("not valid JSON");
      }
    for (let tail = 0; tail < 8; tail += 1) expect(refused(`{"a":1${" ".repeat(tail)},"b":"\u0001"}`)).toContain("not valid JSON");
    expect(keyOf(bytesOf('{"a":"\u007f\u0080\u009f "}'))).toMatch(/[0-9a-f]{64}$/);
  });

  test("nesting that would end a recursive reader's stack", () => {
    // reliability S13: 200,000 levels; JSON.stringify throws RangeError there.
    const deep = (open: string, close: string, levels: number) => `{"a":${open.repeat(levels)}1${close.repeat(levels)}}`;
    for (const text of [deep("[", "]", 200_000), deep('{"a":', "}", 200_000), deep("[", "", 200_000)])
      expect(refused(text)).toContain("deeper than 256");
    expect(refused(deep("[", "]", 256))).toContain("deeper than 256");
    expect(keyOf(bytesOf(deep("[", "]", 255)))).toMatch(/[0-9a-f]{64}$/);
  });

  test("more properties than can be sorted without holding up everyone else", () => {
    const object = (count: number) =>
      `{"logit_bias":{${Array.from({ length: count }, (_, index) => `"${(index * 7919) % count}":1`).join(",")}}}`;
    expect(refused(object(100_001))).toContain("more than 100000 properties");
    expect(keyOf(bytesOf(object(20_000)))).toMatch(/[0-9a-f]{64}$/);
  });

  test("more values than can be read without holding up everyone else", () => {
    const list = (value: string, count: number) => `{"messages":[${Array.from({ length: count }, () => value).join(",")}]}`;
    for (const value of ["[]", " 1"]) expect(refused(list(value, 1_000_000))).toContain("more than 1000000 values");
    expect(refused(list("[[[]]]", 400_000))).toContain("more than 1000000 values");
    expect(keyOf(bytesOf(list("1", 999_999)))).toMatch(/[0-9a-f]{64}$/);
  });

  test("values that JSON cannot write down", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic.self = { cyclic };
    const values = [
      Number.NaN,
      Infinity,
      1n,
      Symbol("a"),
      () => 1,
      new Map([[1, 2]]),
      new Date(0),
      { toJSON: () => 1 },
      Object.assign([1], { toJSON: () => "another" }),
      [undefined],
      new Array(1),
      cyclic,
    ];
    for (const value of values) expect(refusal(() => keyOf({ seed: value }))).toContain("cannot be keyed");
    expect(refusal(() => keyOf(null as unknown as Record<string, unknown>))).toContain("not a JSON object");
    expect(refusal(() => keyOf(undefined as unknown as Record<string, unknown>))).toContain("undefined");
  });

  test("without quoting the body in the message or the cause", () => {
    const secret = "sk-canary-0123456789";
    for (const text of [
      `{"a":"${secret}`,
      `{"${secret}":1,"${secret}":2}`,
      `{"a":"\\x${secret}"}`,
      `{"a":"\\u00zz${secret}"}`,
      `{"a":${secret}}`,
    ]) {
      let caught: unknown;
      try {
        readRequest("chat", bytesOf(text));
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(CacheError);
      expect(`${(caught as Error).message} ${String((caught as Error).cause)}`).not.toContain("canary");
    }
  });
});

test("a property that is undefined counts as absent, one that is null does not", () => {
  expect(chat({ seed: undefined })).toBe(keyOf(Object.fromEntries(Object.entries(chatBody).filter(([name]) => name !== "seed"))));
  expect(chat({ seed: null })).not.toBe(chat({ seed: undefined }));
});

test("objects without a prototype and of another realm are plain objects", () => {
  const body = { model: "m", messages: [{ role: "user", content: "a" }] };
  expect(keyOf(runInNewContext(`(${JSON.stringify(body)})`))).toBe(keyOf(body));
  expect(keyOf(Object.assign(Object.create(null), body))).toBe(keyOf(body));
});

describe("the model in a key", () => {
  test("is encoded, so that no model's name runs into the digest or reads as a pattern", () => {
    expect(chat({ model: "a:b" })).toContain(":chat:a%3Ab:");
    expect(chat({ model: "org/model@v1.2" })).toContain(":chat:org/model@v1.2:");
    expect(chat({ model: "*[?]{}\\\n\u00e9 ~!" })).toMatch(/:chat:[\w%./@-]+:[0-9a-f]{64}$/);
    expect(chat({ model: "\ud800" })).toMatch(/:chat:[\w%./@-]+:[0-9a-f]{64}$/);
    expect(chat({ model: "a:b" })).not.toBe(chat({ model: "a%3Ab" }));
  });

  test("is cut when it is long, and the digest still tells long names apart", () => {
    const [one, other] = [chat({ model: `${"m".repeat(1_000_000)}1` }), chat({ model: `${"m".repeat(1_000_000)}2` })];
    expect(one.length).toBeLessThan(200);
    expect(one).not.toBe(other);
    expect(chat({ model: "\ud800".repeat(500) }).length).toBeLessThan(200);
  });
});

describe("besides the body a key depends on", () => {
  const scopes = new KeyScopes();
  const request = readRequest("chat", chatBody);
  const key = (parts: { tenant?: string; namespace?: string; headers?: RequestHeaders }, route?: Route) =>
    requestKey(scopes.of({ endpoint: "chat", tenant: "acme", ...parts }), request, route);
  const usual = key({});

  // reliability S5, S6: a key that used the first 20 characters of a token (CVE-2026-35030).
  test("the tenant, all of it", () => {
    const tokens = ["a", "b", `${"x".repeat(64)}1`, `${"x".repeat(64)}2`, "\ud800", "\ud801", "a\0", "__proto__"];
    const keys = tokens.map((tenant) => key({ tenant }));
    expect(new Set(keys).size).toBe(tokens.length);
    expect(new Set(keys.map((text) => text.split(":")[1])).size).toBe(tokens.length);
    expect(key({ tenant: "sk-canary" })).not.toContain("canary");
  });

  test("the namespace, which does not run into the tenant", () => {
    expect(key({ namespace: "a" })).not.toBe(usual);
    expect(key({ tenant: "ab", namespace: "c" })).not.toBe(key({ tenant: "a", namespace: "bc" }));
    expect(key({ tenant: 'a","b', namespace: "" })).not.toBe(key({ tenant: "a", namespace: "b" }));
  });

  test("the route: base URL and upstream model", () => {
    const routes: Array<Route | undefined> = [
      undefined,
      { baseUrl: "https://a/v1" },
      { baseUrl: "https://b/v1" },
      { baseUrl: "https://a/v1", model: "m" },
      { baseUrl: "https://a/v1", model: "" },
    ];
    expect(new Set(routes.map((route) => key({}, route))).size).toBe(routes.length);
    for (const route of routes)
      expect(key({}, route)).toBe(requestKey(new KeyScopes().of({ endpoint: "chat", tenant: "acme" }), request, route));
  });

  test("headers that change the answer, in any case, and no others", () => {
    for (const name of [
      "anthropic-version",
      "Anthropic-Beta",
      "anthropic-new-thing",
      "openai-organization",
      "OpenAI-Project",
      "openai-beta",
    ])
      expect(key({ headers: { [name]: "a" } })).not.toBe(usual);
    expect(key({ headers: { "Anthropic-Beta": "a" } })).toBe(key({ headers: { "anthropic-beta": "a" } }));
    expect(key({ headers: { "anthropic-beta": "a", "openai-beta": "b" } })).toBe(
      key({ headers: { "openai-beta": "b", "anthropic-beta": "a" } }),
    );
    expect(key({ headers: { "anthropic-beta": "a" } })).not.toBe(key({ headers: { "anthropic-beta": "b" } }));
    expect(key({ headers: { "anthropic-beta": "a,b" } })).not.toBe(key({ headers: { "anthropic-beta": ["a", "b"] } }));
    expect(key({ headers: { authorization: "a", accept: "b", "x-request-id": "c", "anthropic-beta": undefined, origin: "o" } })).toBe(
      usual,
    );
  });

  test("no header that is neither text nor a list of texts, named in the error", () => {
    for (const value of [5, null, {}])
      expect(() => key({ headers: { "Anthropic-Version": value } as unknown as RequestHeaders })).toThrow(
        "header anthropic-version must be",
      );
  });

  test("every value of a header that comes twice as pairs, as node:http and Headers join them", () => {
    const twice = [
      ["Anthropic-Beta", "a"],
      ["x-request-id", "c"],
      ["anthropic-beta", "b"],
    ] as const;
    const joined = key({ headers: { "anthropic-beta": "a, b" } });
    expect(key({ headers: twice })).toBe(joined);
    expect(key({ headers: { "anthropic-beta": ["a", "b"] } })).toBe(joined);
    expect(key({ headers: new Headers(twice.map(([name, value]): [string, string] => [name, value])) })).toBe(joined);
    for (const value of ["a", "b", "b, a"]) expect(key({ headers: { "anthropic-beta": value } })).not.toBe(joined);
  });

  test("headers given as pairs, too: a Headers object has no properties of its own", () => {
    const pairs = { "anthropic-beta": "a", "openai-organization": "b", accept: "c" };
    expect(key({ headers: new Headers(pairs) })).toBe(key({ headers: pairs }));
    expect(key({ headers: new Map(Object.entries(pairs)) })).toBe(key({ headers: pairs }));
    expect(key({ headers: new Headers(pairs) })).not.toBe(usual);
  });

  test("the endpoint, and scope and request must be for the same", () => {
    expect(keyOf(chatBody, "responses").split(":").pop()).not.toBe(keyOf(chatBody, "chat").split(":").pop());
    expect(() => requestKey(scopes.of({ endpoint: "messages", tenant: "acme" }), request)).toThrow("scope is for messages requests");
    expect(() => readRequest("chats" as "chat", {})).toThrow("endpoint must be one of");
  });
});

describe("scopes", () => {
  test("are the same object for the same parts, and bounded", () => {
    const scopes = new KeyScopes({ maxScopes: 8 });
    const first = scopes.of({ endpoint: "chat", tenant: "a" });
    expect(scopes.of({ endpoint: "chat", tenant: "a", namespace: "", headers: { accept: "x" } })).toBe(first);
    expect(scopes.of({ endpoint: "embedding", tenant: "a" })).not.toBe(first);
    for (let index = 0; index < 100; index += 1) scopes.of({ endpoint: "chat", tenant: "a", namespace: `n${index}` });
    for (let index = 0; index < 100; index += 1) scopes.of({ endpoint: "chat", tenant: `t${index}` });
    const again = scopes.of({ endpoint: "chat", tenant: "a" });
    expect(again).not.toBe(first);
    expect(again.digest).toBe(first.digest);
  });

  test("of too many tenants are dropped all together", () => {
    const scopes = new KeyScopes({ maxScopes: 8 });
    const first = scopes.of({ endpoint: "chat", tenant: "first" });
    for (let index = 0; index < 7; index += 1) scopes.of({ endpoint: "chat", tenant: `t${index}` });
    expect(scopes.of({ endpoint: "chat", tenant: "first" })).toBe(first);
    scopes.of({ endpoint: "chat", tenant: "one more" });
    expect(scopes.of({ endpoint: "chat", tenant: "first" })).not.toBe(first);
  });

  test("of one tenant that has too many are dropped, and neither those of others nor the room they took", () => {
    const scopes = new KeyScopes({ maxScopes: 40 });
    const of = (namespace: number) => scopes.of({ endpoint: "chat", tenant: "a", namespace: `${namespace}` });
    const first = of(0);
    const neighbour = scopes.of({ endpoint: "chat", tenant: "neighbour" });
    for (let namespace = 1; namespace < 32; namespace += 1) of(namespace);
    expect(of(0)).toBe(first);
    of(32);
    expect(of(0)).not.toBe(first);
    for (let index = 0; index < 30; index += 1) scopes.of({ endpoint: "chat", tenant: `t${index}` });
    expect(scopes.of({ endpoint: "chat", tenant: "neighbour" })).toBe(neighbour);
  });

  test("refuse an empty tenant", () => {
    expect(() => new KeyScopes().of({ endpoint: "chat", tenant: "" })).toThrow("tenant must be a string of at least one character");
    expect(() => new KeyScopes().of({ endpoint: "chats" as "chat", tenant: "a" })).toThrow("endpoint must be one of chat, ");
    expect(() => new KeyScopes().of({ endpoint: "chat", tenant: "a", namespace: 5 as unknown as string })).toThrow(
      "namespace must be a string",
    );
    expect(() => new KeyScopes({ maxScopes: 0 })).toThrow("maxScopes");
  });
});

// Regression: a model of 13 characters or more was a slice that kept its whole body in memory, and gateways keep models by the thousand.
test("neither a request's model nor its key keeps the body in memory", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const heapUsed = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const kept: string[] = [];
  const before = heapUsed();
  for (let index = 0; index < 40; index += 1) {
    const body = { model: `a-model-with-a-long-name-${index}`, messages: [{ content: String(index).repeat(500_000) }] };
    const request = readRequest("chat", bytesOf(JSON.stringify(body)));
    kept.push(request.model, requestKey(new KeyScopes().of({ endpoint: "chat", tenant: "acme" }), request), String(request.get("model")));
  }
  expect(heapUsed() - before).toBeLessThan(8_000_000);
  expect(kept).toHaveLength(120);
});
