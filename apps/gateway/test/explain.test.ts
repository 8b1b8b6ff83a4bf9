import { afterEach, describe, expect, it } from "vitest";
import { type Bed, chat, startBed } from "./support/start.ts";

/** What `explain` tells that a request can be held to. */
interface Explained {
  readonly key: string;
  readonly provider: string;
  readonly cache: { readonly isRead: boolean; readonly isWritten: boolean; readonly bypass?: string };
  readonly entry: { readonly status: string };
}

let bed: Bed;
afterEach(() => bed.close());

const ROUTES = [
  { model: "off", cache: "off" },
  { model: "reads", cache: "read-only" },
  { model: "writes", cache: "write-only" },
  { model: "fast", normalizers: { trailingWhitespace: true } },
] as const;
const message = { max_tokens: 9, messages: [{ role: "user", content: "x" }] };
const REQUESTS: ReadonlyArray<readonly [path: string, body: object]> = [
  ["/v1/chat/completions", chat("plain")],
  ["/v1/chat/completions", chat("cold", { temperature: 0 })],
  ["/v1/chat/completions", chat("streamed", { stream: true, seed: 1 })],
  ["/v1/chat/completions", chat("heard", { audio: { voice: "alloy" } })],
  ...["off", "reads", "writes", "fast"].map((model) => ["/v1/chat/completions", chat("routed ", { model })] as const),
  ["/v1/chat/completions", { messages: [] }],
  ["/v1/chat/completions", chat("long", { model: "m".repeat(513) })],
  ["/v1/completions", { model: "m", prompt: "x" }],
  ["/v1/responses", { model: "m", input: "x" }],
  ["/v1/responses", { model: "m", input: "x", store: true }],
  ["/v1/responses", { model: "m", input: "x", store: false }],
  ["/v1/responses", { model: "m", input: "x", previous_response_id: "resp_1" }],
  ["/v1/messages", { model: "m", ...message }],
  ["/v1/messages", { model: "m", ...message, container: "c" }],
  ["/v1/images/generations", { prompt: "no model" }],
  ["/v1/images/generations", { model: "m", prompt: "x", n: 2, stream: true }],
  ["/v1/embeddings", { model: "m", input: "x" }],
  ["/v1/embeddings", { model: "m", input: ["x"], encoding_format: "base64" }],
  ["/v1/embeddings", { model: "m", input: "x", output_dtype: "int8" }],
  ["/v1/embeddings", { model: "m" }],
  ["/v1/embeddings", { model: "m", input: [] }],
];
const HEADERS: ReadonlyArray<Record<string, string>> = [
  {},
  { "Cache-Control": "no-store" },
  { "cache-control": "no-cache" },
  { "cache-control": "max-age=600", "x-larder-cache-namespace": "of-headers" },
  ...["on", "off", "read-only", "write-only", "refresh", "nonsense"].map((mode) => ({ "X-Larder-Cache-Mode": mode })),
  { "x-openrouter-cache": "true", "x-larder-cache-namespace": "two words" },
];

/** What a request must be answered with when `explain` is right about it. */
function verdictBy({ cache, entry }: Explained, isDisabled: boolean): string {
  if (!cache.isRead && !cache.isWritten) return isDisabled ? "DISABLED" : "BYPASS";
  if (!cache.isRead) return "REFRESH";
  return entry.status === "hit" ? "HIT" : "MISS";
}

describe("explain tells of a request what then happens to it", () => {
  it.each([{}, { deterministicOnly: true }, { cacheMode: "read-only" }, { cacheMode: "write-only" }, { cacheMode: "off" }] as const)(
    "with %j",
    async (settings) => {
      bed = await startBed({ routes: [...ROUTES], aliases: { fast: "m" }, ...settings });
      const explain = async (endpoint: string, body: object, headers: object): Promise<Explained | number> => {
        const answer = await bed.admin("POST", "/admin/cache/explain", { endpoint, body, headers });
        return answer.status === 200 ? ((await answer.json()) as Explained) : answer.status;
      };
      const isDisabled = "cacheMode" in settings && settings.cacheMode === "off";
      for (const [path, body] of REQUESTS)
        for (const headers of Object.keys(settings).length === 0 ? HEADERS : HEADERS.slice(1, 4)) {
          const which = `${path} ${JSON.stringify(body).slice(0, 200)} ${JSON.stringify(headers)}`;
          const told = await explain(path, body, headers);
          const answer = await bed.post(path, body, headers);
          await answer.text();
          if (typeof told === "number") expect([answer.status, which]).toEqual([told, which]);
          else {
            const verdict = answer.headers.get("x-larder-cache");
            const key = /key="([^"]+)"/.exec(answer.headers.get("cache-status") ?? "")?.[1] ?? told.key;
            const expected = [verdictBy(told, isDisabled), told.key, told.provider];
            expect([which, verdict, key, answer.headers.get("x-larder-provider")]).toEqual([which, ...expected]);
          }
        }
    },
    120_000,
  );

  it("names the reason for which the cache takes no part", async () => {
    bed = await startBed({ routes: [...ROUTES], deterministicOnly: true });
    const reasonOf = async (endpoint: string, body: object, headers = {}): Promise<unknown> =>
      ((await (await bed.admin("POST", "/admin/cache/explain", { endpoint, body, headers })).json()) as Explained).cache.bypass;
    const path = "/v1/chat/completions";
    expect(await reasonOf(path, chat("a", { model: "off" }))).toBe("route");
    expect(await reasonOf(path, chat("a"))).toBe("not-deterministic");
    expect(await reasonOf(path, chat("a"), { "x-larder-cache-mode": "on" })).toBeUndefined();
    expect(await reasonOf(path, chat("a", { seed: 1 }), { "cache-control": "no-store" })).toBe("headers");
    expect(await reasonOf("/v1/responses", { model: "m", input: "x", store: true })).toBe("stateful");
  });
});
