import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bed, gate, startBed, until } from "./support/start.ts";
import { vectorOf } from "./support/upstream.ts";

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
});
afterAll(() => bed.close());

interface Answer {
  readonly data: Array<{ index: number; embedding: number[] | string }>;
  readonly usage: { prompt_tokens: number; total_tokens: number };
}
const ask = (input: unknown, more: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Response> =>
  bed.post("/v1/embeddings", { model: "fixture-embedding", input, ...more }, headers);

describe("embeddings", () => {
  it("computes only what no batch has stored yet, and keeps the order", async () => {
    await ask(["one", "two"]);
    const response = await ask(["three", "two", "four", "one"]);
    expect(bed.upstream.seen.at(-1)?.body.input).toEqual(["three", "four"]);
    expect(response.headers.get("x-larder-cache-items")).toBe("2/4");
    const { data, usage } = (await response.json()) as Answer;
    expect(data.map((item) => item.embedding)).toEqual(["three", "two", "four", "one"].map(vectorOf));
    expect(data.map((item) => item.index)).toEqual([0, 1, 2, 3]);
    expect(usage).toEqual({ prompt_tokens: 15, total_tokens: 15 });
  });

  it("serves base64 and numbers from one entry", async () => {
    await ask("encoded", { encoding_format: "base64" });
    const before = bed.upstream.calls;
    const numbers = (await (await ask("encoded")).json()) as Answer;
    expect(numbers.data[0]?.embedding).toEqual(vectorOf("encoded"));
    const text = (await (await ask(["encoded"], { encoding_format: "base64" })).json()) as Answer;
    expect(text.data[0]?.embedding).toBe(Buffer.from(Float32Array.from(vectorOf("encoded")).buffer).toString("base64"));
    expect(bed.upstream.calls).toBe(before);
  });

  it("names the model as the provider does, from the cache as well", async () => {
    bed.upstream.behaviour = ({ body }, response) => {
      const data = (body.input as string[]).map((_, index) => ({ object: "embedding", index, embedding: [1, 2] }));
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ object: "list", data, model: "fixture-embedding-v2", usage: { prompt_tokens: 1, total_tokens: 1 } }));
      return true;
    };
    const modelOf = async (input: string[]): Promise<unknown> => ((await (await ask(input)).json()) as { model: string }).model;
    const told = [await modelOf(["versioned"]), await modelOf(["versioned"]), await modelOf(["versioned", "another"])];
    bed.upstream.behaviour = undefined;
    expect(told).toEqual(["fixture-embedding-v2", "fixture-embedding-v2", "fixture-embedding-v2"]);
    expect(await modelOf(["unversioned"])).toBe("fixture-embedding");
  });

  it("keeps other dimensions apart", async () => {
    await ask("sized");
    expect((await ask("sized", { dimensions: 2 })).headers.get("x-larder-cache")).toBe("MISS");
  });

  it("computes equal inputs of one request once, and concurrent equal requests once", async () => {
    const before = bed.upstream.calls;
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(["same", "same", "other"])));
    expect(bed.upstream.calls - before).toBe(1);
    expect(bed.upstream.seen.at(-1)?.body.input).toEqual(["same", "other"]);
    for (const answer of answers) expect(((await answer.json()) as Answer).data).toHaveLength(3);
  });

  it("does not store a batch that does not answer each input once", async () => {
    bed.upstream.behaviour = (_seen, response) => {
      const data = [
        { object: "embedding", index: 0, embedding: [1] },
        { object: "embedding", index: 0, embedding: [2] },
      ];
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ object: "list", data, model: "m", usage: { prompt_tokens: 1, total_tokens: 1 } }));
      return true;
    };
    expect((await ask(["twice", "index"])).status).toBe(502);
    bed.upstream.behaviour = undefined;
    expect((await ask(["twice", "index"])).headers.get("x-larder-cache")).toBe("MISS");
  });

  it.each([null, { text: "a" }, 7, true, [null], [true], ["a", 7], [[]], [["a"]], []])("refuses %j as input", async (input) => {
    const before = bed.upstream.calls;
    const response = await ask(input);
    expect([response.status, ((await response.json()) as { error: { param: string } }).error.param]).toEqual([400, "input"]);
    expect(bed.upstream.calls).toBe(before);
  });

  it.each([[["a", "b"]], [[1, 2]], [[[1], [2, 3]]], [[{ text: "of a provider's own" }]]])("takes %j as input", async (input) => {
    expect((await ask(input)).status).toBe(200);
  });

  it("says COALESCED of what another request computes, and does not count it as saved", async () => {
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const before = bed.upstream.calls;
    const first = ask("shared");
    await until(() => bed.upstream.calls === before + 1);
    const second = ask(["shared"]);
    const third = ask(["shared", "not shared"]);
    await until(() => bed.upstream.calls === before + 2);
    held.open();
    const verdicts = (await Promise.all([first, second, third])).map((response) => response.headers.get("x-larder-cache"));
    bed.upstream.behaviour = undefined;
    expect(verdicts).toEqual(["MISS", "COALESCED", "MISS"]);
    expect((await third).headers.get("x-larder-cache-items")).toBe("0/2");
  });

  it("asks by itself when the call that it shared was refused with other inputs in it", async () => {
    const held = gate();
    bed.upstream.behaviour = async ({ body }, response) => {
      if (!Array.isArray(body.input) || !body.input.includes("too long")) return false;
      await held.opened;
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"input 1 is too long"}}');
      return true;
    };
    const before = bed.upstream.calls;
    const refused = ask(["shared with a bad one", "too long"]);
    await until(() => bed.upstream.calls > before);
    const good = [ask("shared with a bad one"), ask(["shared with a bad one", "a good one"])];
    await until(() => bed.upstream.calls > before + 1);
    held.open();
    expect((await refused).status).toBe(400);
    for (const [index, response] of (await Promise.all(good)).entries()) {
      const { data } = (await response.json()) as Answer;
      expect([response.status, data.map(({ embedding }) => embedding)]).toEqual([
        200,
        ["shared with a bad one", "a good one"].slice(0, index + 1).map(vectorOf),
      ]);
    }
    const inputs = bed.upstream.seen.slice(before).map(({ body }) => body.input);
    expect(inputs).toEqual([["shared with a bad one", "too long"], ["a good one"], expect.anything()]);
    bed.upstream.behaviour = undefined;
  });

  it("frees the upstream when the last caller leaves, and not before", async () => {
    const held = gate();
    bed.upstream.behaviour = async () => {
      await held.opened;
      return false;
    };
    const body = JSON.stringify({ model: "fixture-embedding", input: ["left", "alone"] });
    const leaving = [new AbortController(), new AbortController()];
    const before = bed.upstream.calls;
    const requests = leaving.map(({ signal }) =>
      fetch(`${bed.url}/v1/embeddings`, { method: "POST", body, signal, headers: { "content-type": "application/json" } }).catch(
        (error: unknown) => error,
      ),
    );
    await until(() => bed.upstream.calls === before + 1);
    const seen = bed.upstream.seen.at(-1);
    leaving[0]?.abort();
    await requests[0];
    const abandoned = async (): Promise<string | undefined> =>
      /^larder_requests_abandoned_total (\d+)/m.exec(await (await fetch(`${bed.url}/metrics`)).text())?.[1];
    while ((await abandoned()) !== "1") await requests[0];
    expect(seen?.wasAborted).toBe(false);
    leaving[1]?.abort();
    await until(() => seen?.wasAborted === true);
    held.open();
    bed.upstream.behaviour = undefined;
  });

  it("computes anew what is older than the caller will have", async () => {
    await ask(["aged", "young"]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const refreshed = await ask(["aged"], {}, { "cache-control": "max-age=0" });
    expect(refreshed.headers.get("x-larder-cache")).toBe("REFRESH");
    expect(bed.upstream.seen.at(-1)?.body.input).toEqual(["aged"]);
    expect((await ask(["aged", "young"], {}, { "cache-control": "max-age=600" })).headers.get("x-larder-cache")).toBe("HIT");
    const readOnly = { "cache-control": "max-age=0", "x-larder-cache-mode": "read-only" };
    expect((await ask(["aged"], {}, readOnly)).headers.get("x-larder-cache")).toBe("MISS");
  });
});

describe("embeddings of a route", () => {
  let routed: Bed;
  beforeAll(async () => {
    routed = await startBed({
      cacheTtl: "1ms",
      staleIfError: "1h",
      routes: [
        { model: "read-only", cache: "read-only", ttl: "1h", targets: [{ provider: "openai" }] },
        { model: "spread", ttl: "1h", targets: [{ provider: "openai" }, { provider: "openai", model: "by-half" }] },
        { model: "lazy", staleWhileRevalidate: "1h", targets: [{ provider: "openai" }] },
      ],
    });
  });
  afterAll(() => routed.close());
  const embed = (model: string, input: unknown): Promise<Response> => routed.post("/v1/embeddings", { model, input });
  const verdictOf = async (response: Promise<Response>): Promise<string | null> => (await response).headers.get("x-larder-cache");

  it("that only reads stores nothing", async () => {
    expect(await verdictOf(embed("read-only", "a"))).toBe("MISS");
    expect(await verdictOf(embed("read-only", "a"))).toBe("MISS");
  });

  it("of several targets meet what any batch has stored of them, and keep their order", async () => {
    const texts = Array.from({ length: 12 }, (_, index) => `drawn ${index}`);
    const itself = await embed("spread", texts);
    const first = (await itself.json()) as Answer;
    expect([itself.headers.get("x-larder-cache"), itself.headers.get("cache-status")]).toEqual(["MISS", expect.stringContaining("stored")]);
    expect(first.data.map(({ embedding }) => embedding)).toEqual(texts.map(vectorOf));
    expect(first.usage.prompt_tokens).toBe(texts.join("").length);
    const asked = routed.upstream.seen.slice(-2).map(({ body }) => body.model);
    expect(asked.sort()).toEqual(["by-half", "spread"]);

    const before = routed.upstream.calls;
    for (const input of [[...texts].reverse(), texts.slice(3, 9), ...texts]) expect(await verdictOf(embed("spread", input))).toBe("HIT");
    expect(routed.upstream.calls).toBe(before);
    const told = await routed.admin("POST", "/admin/cache/explain", {
      endpoint: "/v1/embeddings",
      body: { model: "spread", input: texts },
    });
    const { items } = (await told.json()) as { items: Array<{ entry: { status: string } }> };
    expect(items.map(({ entry }) => entry.status)).toEqual(texts.map(() => "hit"));
  });

  it("of several targets fail with the one that cannot compute its part", async () => {
    routed.upstream.behaviour = ({ body }, response) => {
      if (body.model !== "by-half") return false;
      response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"too long"}}');
      return true;
    };
    const failed = await embed(
      "spread",
      Array.from({ length: 12 }, (_, index) => `refused ${index}`),
    );
    expect([failed.status, await failed.json()]).toEqual([400, { error: { message: "too long" } }]);
    routed.upstream.behaviour = undefined;
  });

  it("are served past their time while one call refreshes them behind", async () => {
    await embed("lazy", ["old", "older"]);
    await new Promise((resolve) => setTimeout(resolve, 10));
    const before = routed.upstream.calls;
    const stale = await embed("lazy", ["old", "older"]);
    expect([stale.headers.get("x-larder-cache"), stale.headers.get("x-larder-cache-items")]).toEqual(["STALE", "2/2"]);
    await until(() => routed.upstream.calls === before + 1);
    expect(routed.upstream.seen.at(-1)?.body.input).toEqual(["old", "older"]);
  });

  it("say STALE when they stand in for what the provider cannot compute", async () => {
    await embed("fixture-embedding", "kept");
    await new Promise((resolve) => setTimeout(resolve, 10));
    routed.upstream.behaviour = (_seen, response) => {
      response.writeHead(500).end();
      return true;
    };
    expect(await verdictOf(embed("fixture-embedding", "kept"))).toBe("STALE");
    routed.upstream.behaviour = undefined;
  });
});
