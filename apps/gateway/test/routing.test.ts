import OpenAI from "openai-7";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, chat, startBed, until } from "./support/start.ts";
import { FixtureUpstream } from "./support/upstream.ts";

let bed: Bed;
let second: FixtureUpstream;
beforeAll(async () => {
  second = await FixtureUpstream.start();
  bed = await startBed({
    providers: {
      backup: { baseUrl: second.url, apiKey: "sk-backup", models: ["listed-model"], headers: { "Anthropic-Version": "2024-01-01" } },
    },
    aliases: { fast: "backup/small" },
    routes: [
      { model: "by-itself", fallbacks: [{ provider: "backup", model: "stand-in" }] },
      { model: "failing-*", targets: [{ provider: "openai" }], fallbacks: [{ provider: "backup", model: "stand-in" }] },
      {
        model: "spread",
        targets: [
          { provider: "openai", weight: 1 },
          { provider: "backup", weight: 1 },
        ],
      },
      {
        model: "spread-normalized",
        targets: [{ provider: "openai" }, { provider: "backup" }],
        normalizers: { trailingWhitespace: true },
      },
      {
        model: "backup/by-route-*",
        targets: [{ provider: "backup" }],
        fallbacks: [{ provider: "openai" }],
      },
      { model: "stale", ttl: "1ms", staleIfError: "1h" },
      { model: "normalized", normalizers: { toolCallIds: true, trailingWhitespace: true } },
    ],
    upstreamRetries: 1,
  });
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(async () => {
  await bed.close();
  await second.close();
});

const ask = (text: string, model: string, more: Record<string, unknown> = {}): Promise<Response> =>
  bed.post("/v1/chat/completions", chat(text, { model, ...more }));
const fail = (status: number, headers: Record<string, string> = {}): void => {
  bed.upstream.behaviour = (_seen, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end('{"error":{"message":"no"}}');
    return true;
  };
};

it.each<[string, string, unknown, string]>([
  ["POST", "/admin/cache/invalidate", {}, "The field body must have one of key, keys"],
  ["POST", "/admin/cache/invalidate", { all: true, tag: "canary" }, "The field body must have one of key, keys"],
  ["POST", "/admin/cache/invalidate", { key: "" }, "The field key must have at least 1 characters."],
  ["POST", "/admin/cache/explain", { body: {}, endpoint: "canary" }, "The field endpoint must be one of /v1/chat/completions, "],
  [
    "PUT",
    "/admin/providers/told",
    { baseUrl: "https://canary.test/v1", kind: "azure" },
    "The field kind must be one of openai, anthropic.",
  ],
])("%s %s with %j says what it must be, and does not repeat it", async (method, path, body, problem) => {
  const refused = await bed.admin(method, path, body);
  const text = await refused.text();
  expect([refused.status, (JSON.parse(text) as { error: { message: string } }).error.message]).toEqual([
    400,
    expect.stringContaining(problem),
  ]);
  expect(text).not.toContain("canary");
});

describe("routing", () => {
  it("follows aliases, listed models and provider/model, each with its own credential and model name", async () => {
    for (const [model, sent] of [
      ["fast", "small"],
      ["backup/other", "other"],
      ["listed-model", "listed-model"],
    ] as const) {
      expect((await ask("routed", model)).headers.get("x-larder-provider")).toBe("backup");
      expect([second.seen.at(-1)?.body.model, second.seen.at(-1)?.headers.authorization]).toEqual([sent, "Bearer sk-backup"]);
    }
  });

  it("sends provider/model without the provider's name to that provider where a route names it as well, and whole to another", async () => {
    second.behaviour = (_seen, response) => {
      response.writeHead(503).end();
      return true;
    };
    expect((await ask("by a route", "backup/by-route-1")).headers.get("x-larder-provider")).toBe("openai");
    second.behaviour = undefined;
    expect([second.seen.at(-1)?.body.model, bed.upstream.seen.at(-1)?.body.model]).toEqual(["by-route-1", "backup/by-route-1"]);
  });

  it("sends a provider's header in place of the caller's, however it is spelled", async () => {
    await bed.post("/v1/chat/completions", chat("spelled", { model: "listed-model" }), { "anthropic-version": "2023-06-01" });
    expect(second.seen.at(-1)?.headers["anthropic-version"]).toBe("2024-01-01");
  });

  it("takes a route that names an alias for that alias's, else those of what it stands for, else a pattern that fits it", async () => {
    const route = (model: string, seconds: number) => ({ model, ttl: `${seconds}s` });
    const aliased = await startBed({
      aliases: { named: "small", plain: "small", "team-a": "large", "team-b": "large-by-pattern", lonely: "nobody" },
      routes: [
        { model: "named", ttl: "100s", targets: [{ provider: "openai" }] },
        ...[route("small", 200), route("team-*", 300), route("*-by-pattern", 400)],
      ],
    });
    const asked: unknown[] = [];
    for (const model of ["named", "plain", "team-a", "team-b", "lonely", "small"]) {
      const answer = await aliased.post("/v1/chat/completions", chat("by an alias", { model }));
      const ttl = /ttl=(\d+)/.exec(answer.headers.get("cache-status") ?? "")?.[1];
      asked.push([Math.ceil(Number(ttl) / 100) * 100, aliased.upstream.seen.at(-1)?.body.model]);
    }
    expect(asked).toEqual([
      ...[
        [100, "small"],
        [200, "small"],
        [300, "large"],
      ],
      ...[
        [400, "large-by-pattern"],
        [3600, "nobody"],
        [200, "small"],
      ],
    ]);
    await aliased.close();
  });

  it("drops by a model's own name what was asked for by an alias", async () => {
    const asked = { model: "fast", input: "aliased" };
    const ofEmbeddings = async () => (await bed.post("/v1/embeddings", asked)).headers.get("x-larder-cache");
    await ask("aliased", "fast");
    await ofEmbeddings();
    expect([(await ask("aliased", "fast")).headers.get("x-larder-cache"), await ofEmbeddings()]).toEqual(["HIT", "HIT"]);
    await bed.admin("POST", "/admin/cache/invalidate", { model: "small" });
    expect([(await ask("aliased", "fast")).headers.get("x-larder-cache"), await ofEmbeddings()]).toEqual(["MISS", "MISS"]);
  });

  it("drops by the name that an alias stands for what a route sends on under another", async () => {
    const aliased = await startBed({
      aliases: { quick: "standing" },
      routes: [{ model: "standing", targets: [{ provider: "openai", model: "deployed" }] }],
    });
    const verdicts: unknown[] = [];
    for (const model of ["quick", "standing", "deployed", "unknown"]) {
      await aliased.post("/v1/chat/completions", chat("dropped by any name", { model: "quick" }));
      await aliased.admin("POST", "/admin/cache/invalidate", { model });
      const again = await aliased.post("/v1/chat/completions", chat("dropped by any name", { model: "quick" }));
      verdicts.push(again.headers.get("x-larder-cache"));
    }
    expect(verdicts).toEqual(["MISS", "MISS", "MISS", "HIT"]);
    await aliased.close();
  });

  it("spreads requests by weight, and equal ones meet in one place", async () => {
    const providers = new Set<string | null>();
    for (let number = 0; number < 16; number += 1) {
      const first = await ask(`spread ${number}`, "spread");
      const again = await ask(`spread ${number}`, "spread");
      expect([again.headers.get("x-larder-cache"), again.headers.get("x-larder-provider")]).toEqual([
        "HIT",
        first.headers.get("x-larder-provider"),
      ]);
      providers.add(first.headers.get("x-larder-provider"));
    }
    expect([...providers].sort()).toEqual(["backup", "openai"]);
  });

  it("spreads what normalizers make equal as one request: it meets in one place, and explain tells which", async () => {
    const providers = new Set<unknown>();
    for (let number = 0; number < 12; number += 1) {
      const first = await ask(`spread ${number}`, "spread-normalized");
      const again = await ask(`spread ${number}  `, "spread-normalized");
      expect([again.headers.get("x-larder-cache"), number]).toEqual(["HIT", number]);
      const body = chat(`spread ${number}\n`, { model: "spread-normalized" });
      const { provider } = (await (await bed.admin("POST", "/admin/cache/explain", body)).json()) as { provider: string };
      expect(provider).toBe(first.headers.get("x-larder-provider"));
      providers.add(provider);
    }
    expect(providers.size).toBe(2);
  });

  it("falls back when a provider fails, and stores the answer under the fallback's route", async () => {
    fail(500);
    expect((await ask("fallback", "failing-model")).headers.get("x-larder-provider")).toBe("backup");
    expect(second.seen.at(-1)?.body.model).toBe("stand-in");
    const before = second.calls;
    expect((await ask("fallback", "failing-model")).headers.get("x-larder-cache")).toBe("HIT");
    expect(second.calls).toBe(before);
    bed.upstream.behaviour = undefined;
  });

  it("tells of a fallback's stored answer nothing that the provider before it has said: its limits, and its name for the request", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, {
        "content-type": "application/json",
        "x-ratelimit-remaining-requests": "7",
        "x-request-id": "of-the-first",
      });
      response.end("no JSON");
      return true;
    };
    const embed = (): Promise<Response> => bed.post("/v1/embeddings", { model: "failing-model", input: "limits of another" });
    const chatted = (): Promise<Response> => ask("limits of another", "failing-model");
    for (const [send, verdict] of [
      [chatted, "MISS"],
      [chatted, "HIT"],
      [embed, "MISS"],
      [embed, "HIT"],
    ] as const) {
      const { headers } = await send();
      expect([headers.get("x-larder-cache"), headers.get("x-larder-provider")]).toEqual([verdict, "backup"]);
      expect([headers.get("x-ratelimit-remaining-requests"), headers.get("x-larder-upstream-request-id")]).toEqual([null, null]);
    }
  });

  it.each([{}, { "cache-control": "no-store" }])(
    "falls back at once when a provider says that it should not be asked again: %o",
    async (headers) => {
      fail(429, { "x-should-retry": "false" });
      const before = bed.upstream.calls;
      const answer = await bed.post("/v1/chat/completions", chat("quota used up", { model: "failing-model" }), headers);
      expect([answer.status, answer.headers.get("x-larder-provider"), bed.upstream.calls - before]).toEqual([200, "backup", 1]);
      expect((await ask("quota used up", "without-fallback")).headers.get("x-should-retry")).toBe("false");
    },
  );

  it.each([401, 402, 403])("falls back when a provider refuses the gateway's own account: %i", async (status) => {
    const told = bed.logs.length;
    fail(status);
    const ask = async (path: string, body: object, headers = {}): Promise<unknown[]> => {
      const answer = await bed.post(path, { model: "failing-model", ...body }, headers);
      await answer.text();
      return [answer.status, answer.headers.get("x-larder-provider")];
    };
    const messages = [{ role: "user", content: `an account refused with ${status}` }];
    expect([
      await ask("/v1/chat/completions", { messages }),
      await ask("/v1/chat/completions", { messages, stream: true, seed: 1 }),
      await ask("/v1/chat/completions", { messages }, { "cache-control": "no-store" }),
      await ask("/v1/embeddings", { input: `an account refused with ${status}` }),
    ]).toEqual(new Array(4).fill([200, "backup"]));
    const lines = bed.logs.slice(told).filter((line) => line.includes("refuses the gateway's own account"));
    // Once a minute, whichever of them it was.
    if (status === 401) expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ providerId: "openai", status: 401, others: 0 }]);
    else expect(lines).toEqual([]);
    expect((await bed.post("/v1/chat/completions", { model: "without-fallback", messages })).status).toBe(status);
  });

  it("falls back when a provider sends its callers elsewhere", async () => {
    // A success: failures in a row open the breaker.
    await ask("before it does", "failing-model");
    fail(302, { location: "/elsewhere" });
    expect((await ask("elsewhere", "failing-model")).headers.get("x-larder-provider")).toBe("backup");
  });

  it("asks where a name leads by itself before the fallbacks of a route that has no targets", async () => {
    const providers = async (text: string): Promise<string | null> => (await ask(text, "by-itself")).headers.get("x-larder-provider");
    expect(await providers("fallbacks alone")).toBe("openai");
    fail(429, { "x-should-retry": "false" });
    expect([await providers("fallbacks alone"), await providers("fallbacks alone, failing")]).toEqual(["openai", "backup"]);
  });

  it("asks a provider that is back before it tells what a fallback has answered meanwhile, unless nobody may be asked", async () => {
    const asked = async (text: string, headers: Record<string, string>): Promise<unknown[]> => {
      const answer = await bed.post("/v1/chat/completions", chat(text, { model: "failing-model" }), headers);
      return [answer.headers.get("x-larder-provider"), answer.headers.get("x-larder-cache")];
    };
    const wishes = { fresh: { "cache-control": "max-age=60" }, reader: { "x-larder-cache-mode": "read-only" } };
    for (const [text, headers] of Object.entries(wishes)) {
      fail(429, { "x-should-retry": "false" });
      expect(await asked(text, {})).toEqual(["backup", "MISS"]);
      expect(await asked(text, { "cache-control": "only-if-cached" })).toEqual(["backup", "HIT"]);
      bed.upstream.behaviour = undefined;
      expect([text, ...(await asked(text, headers))]).toEqual([text, "openai", "MISS"]);
    }
    fail(429, { "x-should-retry": "false" });
    expect(await asked("too old", {})).toEqual(["backup", "MISS"]);
    expect(await asked("too old", { "cache-control": "max-age=60" })).toEqual(["backup", "HIT"]);
    expect(await asked("too old", { "cache-control": "max-age=0" })).toEqual(["backup", "REFRESH"]);
  });

  it("tells embeddings that a fallback has computed to who asks for stored ones alone, and mixes no two providers' in one answer", async () => {
    const embed = async (input: string | string[], headers: Record<string, string> = {}): Promise<unknown[]> => {
      const answer = await bed.post("/v1/embeddings", { model: "failing-model", input }, headers);
      return [answer.status, answer.headers.get("x-larder-provider"), answer.headers.get("x-larder-cache")];
    };
    const storedAlone = { "cache-control": "only-if-cached" };
    fail(429, { "x-should-retry": "false" });
    expect([await embed("of the fallback"), await embed("of the fallback", storedAlone)]).toEqual([
      [200, "backup", "MISS"],
      [200, "backup", "HIT"],
    ]);
    bed.upstream.behaviour = undefined;
    await embed("of the first");
    expect(await embed(["of the first", "of the fallback"], storedAlone)).toEqual([504, null, "MISS"]);
  });

  it("does not fall back for the caller's own mistakes", async () => {
    fail(400);
    const before = second.calls;
    expect([(await ask("mistake", "failing-other")).status, second.calls]).toEqual([400, before]);
  });

  it("retries once more, as soon as retry-after-ms says, and counts it", async () => {
    const retries = async (): Promise<number> =>
      Number(
        /^larder_upstream_retries_total\{provider="openai"\} (\d+)$/m.exec(await (await fetch(`${bed.url}/metrics`)).text())?.[1] ?? 0,
      );
    const before = await retries();
    let failures = 0;
    bed.upstream.behaviour = (_seen, response) => {
      failures += 1;
      if (failures > 1) return false;
      response.writeHead(429, { "content-type": "application/json", "retry-after-ms": "5" }).end('{"error":{"message":"later"}}');
      return true;
    };
    expect([(await ask("retried", "fixture-model")).status, failures]).toEqual([200, 2]);
    expect(await retries()).toBe(before + 1);
  });

  it("passes a long retry-after on instead of waiting for it", async () => {
    fail(429, { "retry-after": "120" });
    const response = await ask("too long", "fixture-model");
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "120"]);
  });

  it("serves a stale answer when the provider fails, and says so", async () => {
    const first = await (await ask("stale", "stale")).text();
    fail(503);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const stale = await ask("stale", "stale");
    expect([stale.headers.get("x-larder-cache"), await stale.text()]).toEqual(["STALE", first]);
  });
});

it("shows a provider of the configuration by itself as in the list", async () => {
  const read = async (path: string): Promise<unknown> => (await bed.admin("GET", path)).json();
  const { providers } = (await read("/admin/providers")) as { providers: Array<{ id: string }> };
  for (const provider of providers) expect(await read(`/admin/providers/${provider.id}`)).toEqual(provider);
  expect(providers.map(({ id }) => id)).toContain("openai");
  expect((await bed.admin("GET", "/admin/providers/nobody")).status).toBe(404);
});

describe("explain", () => {
  it("tells key, canonical form, what was left out, and the nearest request with the field that differs", async () => {
    await ask("explained", "fixture-model", { temperature: 0.1 });
    const answer = await bed.admin("POST", "/admin/cache/explain", {
      body: chat("explained", { temperature: 0.2, user: "u", stream: true }),
    });
    const explained = (await answer.json()) as { key: string; canonical: string; excluded: string[]; nearest: { differs: string[] } };
    expect(explained.key).toMatch(/^1:[0-9a-f]{16}:chat:fixture-model:[0-9a-f]{64}$/);
    expect([explained.excluded.sort(), explained.nearest.differs]).toEqual([["stream", "user"], ["temperature"]]);
    expect(JSON.parse(explained.canonical)).toMatchObject({ temperature: 0.2 });
    const { fields } = (await (await bed.admin("GET", "/admin/cache/near-misses")).json()) as { fields: Array<{ field: string }> };
    expect(fields.map(({ field }) => field)).toContain("messages");
  });

  it("takes headers as a request has them, in whatever case they are written", async () => {
    const body = chat("explained with a header");
    await (await bed.post("/v1/chat/completions", body, { "openai-organization": "org-1" })).text();
    const statusWith = async (headers: object): Promise<unknown> => {
      const explained = await bed.admin("POST", "/admin/cache/explain", { endpoint: "/v1/chat/completions", body, headers });
      return ((await explained.json()) as { entry: { status: string } }).entry.status;
    };
    expect(await statusWith({ "OpenAI-Organization": "org-1" })).toBe("hit");
    expect([await statusWith({ "OpenAI-Organization": "org-2" }), await statusWith({})]).toEqual(["miss", "miss"]);
  });

  it.each([
    ["a number beyond double precision", '{"model":"fixture-model","seed":9007199254740993,"messages":[]}'],
    ["a field called __proto__", '{"model":"fixture-model","__proto__":{"a":1},"messages":[]}'],
  ])("tells the key that the request has, byte for byte: %s", async (_what, body) => {
    await (await bed.post("/v1/chat/completions", body)).text();
    for (const sent of [body, `{"tenant":"default","body":${body},"endpoint":"/v1/chat/completions"}`]) {
      const explained = await bed.admin("POST", "/admin/cache/explain", sent);
      expect(await explained.json()).toMatchObject({ entry: { status: "hit" } });
    }
  });

  it.each([
    ["a name that comes twice", '{"model":"m","messages":[],"model":"n"}'],
    ["an endless nesting", `{"model":"m","messages":${"[".repeat(60_000)}${"]".repeat(60_000)}}`],
  ])("refuses what the request would be refused for: %s", async (_what, body) => {
    for (const sent of [body, `{"body":${body}}`]) expect((await bed.admin("POST", "/admin/cache/explain", sent)).status).toBe(400);
  });

  it("takes headers in whatever case they are written, as a request does", async () => {
    const body = chat("explained with headers");
    const stored = await bed.post("/v1/chat/completions", body, { "OpenAI-Beta": "a-beta" });
    await stored.text();
    for (const name of ["OpenAI-Beta", "openai-beta"]) {
      const explained = await bed.admin("POST", "/admin/cache/explain", { body, headers: { [name]: "a-beta" } });
      expect(await explained.json(), name).toMatchObject({ entry: { status: "hit" } });
    }
  });

  it("tells of embeddings item by item what is stored, by the keys that they have", async () => {
    const body = { model: "fixture-model", input: ["explained a", "explained b"] };
    const [first] = body.input;
    const stored = await bed.post("/v1/embeddings", { ...body, input: first });
    const [, key] = /key="([^"]+)"/.exec(stored.headers.get("cache-status") ?? "") ?? [];
    const explain = async (
      query = "",
    ): Promise<{ key: string; entry: { status: string }; items: Array<{ key: string; entry: object }> }> => {
      const asked = { endpoint: "/v1/embeddings", body, query };
      return (await (await bed.admin("POST", "/admin/cache/explain", asked)).json()) as Awaited<ReturnType<typeof explain>>;
    };
    const explained = await explain();
    expect([explained.key, explained.items[0]?.key]).toEqual([key, key]);
    expect(explained.items.map(({ entry }) => entry)).toMatchObject([{ status: "hit" }, { status: "miss" }]);
    expect(explained.entry.status).toBe("miss");
    expect((await explain("?api-version=1")).key).not.toBe(key);
    await bed.post("/v1/embeddings", body);
    expect((await explain()).entry.status).toBe("hit");
  });

  it("shows normalizers at work, which let equal requests meet", async () => {
    const withId = (id: string): Record<string, unknown> => ({
      messages: [
        { role: "user", content: "weather?  " },
        { role: "assistant", tool_calls: [{ id, type: "function", function: { name: "weather", arguments: "{}" } }] },
        { role: "tool", tool_call_id: id, content: "sunny" },
      ],
    });
    expect((await ask("", "normalized", withId("call_abc"))).headers.get("x-larder-cache")).toBe("MISS");
    expect((await ask("", "normalized", withId("call_xyz"))).headers.get("x-larder-cache")).toBe("HIT");
    const { normalized } = (await (
      await bed.admin("POST", "/admin/cache/explain", { body: { model: "normalized", ...withId("call_q") } })
    ).json()) as { normalized: unknown[] };
    expect(normalized.length).toBeGreaterThan(0);
  });

  it("carries entries over to another gateway, which answers from them", async () => {
    await ask("carried", "fixture-model");
    const lines = await (await bed.admin("GET", "/admin/cache/export")).text();
    const other = await startBed({ openaiBaseUrl: bed.upstream.url });
    const report = await other.admin("POST", "/admin/cache/import", `${lines}not a line\n`);
    expect(await report.json()).toMatchObject({ refused: 1 });
    expect((await other.post("/v1/chat/completions", chat("carried"))).headers.get("x-larder-cache")).toBe("HIT");
    await other.close();
  });
});

it("says at the start which providers of routes there are not", async () => {
  const routes = [{ model: "typed", targets: [{ provider: "opnai" }, { provider: "openai" }] }];
  const mistaken = await startBed({ routes });
  await until(() => mistaken.logs.some((line) => line.includes("opnai")));
  const warned = mistaken.logs.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ route }) => route !== undefined);
  expect(warned).toEqual([expect.objectContaining({ level: 40, route: "typed", provider: "opnai" })]);
  await mistaken.close();
});

it("says at the start that nobody is asked for a key where not only this machine can connect", async () => {
  const warned = async (settings: { readonly host: string; readonly auth?: "none" | "keys" }): Promise<boolean> => {
    const open = await startBed(settings);
    await open.close();
    return open.logs.some((line) => line.includes("nobody is asked for a key"));
  };
  expect(await warned({ host: "0.0.0.0", auth: "none" })).toBe(true);
  expect(await warned({ host: "0.0.0.0", auth: "keys" })).toBe(false);
  expect(await warned({ host: "127.0.0.1", auth: "none" })).toBe(false);
});

it("refuses to save a provider's base URL that ends in an endpoint, as it is copied from documentation", async () => {
  const bed = await startBed({});
  for (const path of ["/v1/chat/completions", "/v1/messages/"]) {
    const answer = await bed.admin("PUT", "/admin/providers/copied", { baseUrl: `https://example.com${path}` });
    expect([answer.status, await answer.text()]).toEqual([
      400,
      expect.stringContaining("baseUrl must end where the paths of the API begin"),
    ]);
  }
  await bed.close();
});

it("counts the tokens of a message where the message would go, by the model's name there, and answers errors in Anthropic's shape", async () => {
  const upstream = await FixtureUpstream.start();
  const routed = await startBed({
    providers: { claude: { baseUrl: upstream.url, kind: "anthropic", apiKey: "sk-ant-of-claude", models: ["haiku-by-name"] } },
    aliases: { fast: "haiku-by-name" },
    routes: [{ model: "weighed", targets: [{ provider: "claude", model: "haiku-weighed" }] }],
  });
  upstream.behaviour = ({ body }, response) => {
    const isKnown = String(body.model).startsWith("haiku");
    response.writeHead(isKnown ? 200 : 404, { "content-type": "application/json" });
    response.end(isKnown ? '{"input_tokens":3}' : '{"type":"error","error":{"type":"not_found_error","message":"model"}}');
    return true;
  };
  const count = (model: unknown): Promise<Response> =>
    routed.post("/v1/messages/count_tokens?beta=true", { model, messages: [{ role: "user", content: "x" }] });
  for (const model of ["haiku-by-name", "fast", "claude/haiku-prefixed", "weighed"])
    expect(await (await count(model)).json()).toEqual({ input_tokens: 3 });
  expect(upstream.seen.map(({ path, body, headers }) => [path, body.model, headers["x-api-key"]])).toEqual(
    ["haiku-by-name", "haiku-by-name", "haiku-prefixed", "haiku-weighed"].map((model) => [
      "/v1/messages/count_tokens?beta=true",
      model,
      "sk-ant-of-claude",
    ]),
  );
  const unknown = await count("claude/unknown");
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { type: "error" }]);
  for (const model of [undefined, 5, ""]) {
    const refused = await count(model);
    expect([refused.status, await refused.json()]).toMatchObject([400, { type: "error", error: { type: "invalid_request_error" } }]);
  }
  await routed.close();
  await upstream.close();
});

it("counts the tokens of a response, and compacts a conversation, where the response would be made, also for virtual keys", async () => {
  const upstream = await FixtureUpstream.start();
  const routed = await startBed({
    auth: "keys",
    providers: { local: { baseUrl: upstream.url, apiKey: "sk-local", models: ["large"] } },
    aliases: { fast: "large" },
  });
  const told = { object: "response.compaction", output: [], usage: { input_tokens: 9, output_tokens: 9, total_tokens: 18 } };
  for (const provider of [upstream, routed.upstream])
    provider.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(told));
      return true;
    };
  const made = await routed.admin("POST", "/admin/keys", { tenant: "t", limits: { tokensPerMinute: 40 } });
  const client = new OpenAI({ baseURL: `${routed.url}/v1`, apiKey: ((await made.json()) as { key: string }).key, maxRetries: 0 });
  expect(await client.responses.compact({ model: "fast", input: "long" })).toMatchObject(told);
  expect(await client.responses.inputTokens.count({ model: "fast", input: "long" })).toMatchObject(told);
  expect(upstream.seen.map(({ path, body, headers }) => [path, body.model, headers.authorization])).toEqual([
    ["/v1/responses/compact", "large", "Bearer sk-local"],
    ["/v1/responses/input_tokens", "large", "Bearer sk-local"],
  ]);
  // Without a model it is for the default upstream; and what it costs is charged.
  expect(await client.responses.inputTokens.count({ input: "long" })).toMatchObject(told);
  expect(routed.upstream.seen.at(-1)?.body).toEqual({ input: "long" });
  await expect(client.responses.compact({ model: "fast", input: "long" })).rejects.toMatchObject({ status: 429 });
  await routed.close();
  await upstream.close();
});

describe("a saved provider that changes while it is asked", () => {
  it.each([
    ["is saved anew", "PUT"],
    ["is deleted", "DELETE"],
  ])("is not tried again as it was, once it %s", async (_what, method) => {
    const changing = await startBed({ upstreamRetries: 2, allowedPrivateHosts: ["127.0.0.1"] });
    const save = { apiKey: "sk-withdrawn", baseUrl: changing.upstream.url, models: ["changing-model"] };
    await changing.admin("PUT", "/admin/providers/changing", save);
    changing.upstream.behaviour = async (_seen, response) => {
      await changing.admin(method, "/admin/providers/changing", method === "PUT" ? { ...save, apiKey: "sk-of-now" } : undefined);
      response.writeHead(503, { "content-type": "application/json", "retry-after-ms": "1" }).end('{"error":{"message":"first"}}');
      return true;
    };
    const answer = await changing.post("/v1/chat/completions", chat("retried", { model: "changing-model" }));
    expect([answer.status, changing.upstream.seen.map(({ headers }) => headers.authorization)]).toEqual([503, ["Bearer sk-withdrawn"]]);
    await changing.close();
  });

  it("leaves the default upstream as it is when it has the id of that: it is tried again as before", async () => {
    const both = await startBed({ upstreamRetries: 1, allowedPrivateHosts: ["127.0.0.1"] });
    const save = { apiKey: "sk-saved", baseUrl: both.upstream.url, models: ["saved-model"] };
    await both.admin("PUT", "/admin/providers/openai", save);
    let failures = 0;
    both.upstream.behaviour = (_seen, response) => {
      failures += 1;
      if (failures > 1) return false;
      response.writeHead(503, { "content-type": "application/json", "retry-after-ms": "1" }).end('{"error":{"message":"first"}}');
      return true;
    };
    const answer = await both.post("/v1/chat/completions", chat("tried again"));
    expect([answer.status, both.upstream.seen.map(({ headers }) => headers.authorization === "Bearer sk-saved")]).toEqual([
      200,
      [false, false],
    ]);
    await both.close();
  });
});

describe("providers that have the name of one of the environment's", () => {
  const modelsOf = async (of: Bed): Promise<string[]> => {
    const { data } = (await (await fetch(`${of.url}/v1/models`)).json()) as { data: Array<{ id: string }> };
    return data.map(({ id }) => id).sort();
  };
  const shownOf = async (of: Bed): Promise<unknown> => {
    const { providers } = (await (await of.admin("GET", "/admin/providers")).json()) as {
      providers: Array<{ id: string; source: string }>;
    };
    return providers.map(({ id, source }) => `${id} of ${source}`);
  };

  it("do not hide it: its models are listed, and it is shown", async () => {
    const named = await startBed({ providers: { openai: { baseUrl: second.url, apiKey: "sk-team", models: ["team-model"] } } });
    expect(await modelsOf(named)).toEqual(["fixture-model", "team-model"]);
    expect((await fetch(`${named.url}/v1/models/fixture-model`)).status).toBe(200);
    expect(await shownOf(named)).toEqual(["openai of environment", "openai of file"]);
    await named.close();
  });

  it("are not called by the name of a model alone, and so list theirs with their own name before it", async () => {
    const named = await startBed({ providers: { anthropic: { baseUrl: second.url, apiKey: "sk-team" } } });
    expect(await modelsOf(named)).toEqual(["anthropic/fixture-model", "fixture-model"]);
    const answered = await named.post("/v1/chat/completions", chat("named", { model: "anthropic/fixture-model" }));
    expect([answered.status, answered.headers.get("x-larder-provider")]).toEqual([200, "anthropic"]);
    await named.close();
  });
});
