import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAdminApp } from "../src/admin/admin-app.ts";
import type { AdminParts } from "../src/admin/admin-parts.ts";
import { AddressGuard, isPublic } from "../src/security/address-guard.ts";
import { hashKey } from "../src/security/authenticator.ts";
import { readMasterKey, Sealer } from "../src/security/sealer.ts";
import { ADMIN_TOKEN, type Bed, chat, startBed } from "./support/start.ts";
import { FixtureUpstream } from "./support/upstream.ts";

const CANARY = "sk-canary-Zq81LmPw73";
let bed: Bed;
/** Without any private host that would be allowed. */
let strict: Bed;
/** With virtual keys, made when first asked for. */
let keyed: Bed | undefined;
let tenantKey: string | undefined;
const keyedBed = async (): Promise<{ url: string; key: string; upstream: FixtureUpstream }> => {
  keyed ??= await startBed({ auth: "keys", openPaths: ["/v1/opened", "/v1/opened/*"] });
  tenantKey ??= ((await (await keyed.admin("POST", "/admin/keys", { tenant: "tb" })).json()) as { key: string }).key;
  return { url: keyed.url, key: tenantKey, upstream: keyed.upstream };
};
beforeAll(async () => {
  strict = await startBed();
  bed = await startBed({ allowedPrivateHosts: ["127.0.0.1"] });
});
afterEach(() => {
  bed.upstream.behaviour = undefined;
});
afterAll(async () => {
  await keyed?.close();
  await strict.close();
  await bed.close();
});

const save = (id: string, body: Record<string, unknown>): Promise<Response> => bed.admin("PUT", `/admin/providers/${id}`, body);

describe("S5, S22: tenants", () => {
  it("two keys never share an answer, and a key of one tenant shares with another of the same", async () => {
    const keyed = await startBed({ auth: "keys" });
    const make = async (tenant: string): Promise<string> =>
      ((await (await keyed.admin("POST", "/admin/keys", { tenant })).json()) as { key: string }).key;
    const [ann, ann2, bob] = [await make("ann"), await make("ann"), await make("bob")];
    const verdicts = [];
    for (const key of [ann, bob, ann2])
      verdicts.push(
        (await keyed.post("/v1/chat/completions", chat("tenants"), { authorization: `Bearer ${key}` })).headers.get("x-larder-cache"),
      );
    expect(verdicts).toEqual(["MISS", "MISS", "HIT"]);
    expect((await keyed.post("/v1/chat/completions", chat("tenants"), { "x-api-key": ann })).headers.get("x-larder-cache")).toBe("HIT");
    await keyed.admin("POST", "/admin/cache/invalidate", { tenant: "ann" });
    expect(
      (await keyed.post("/v1/chat/completions", chat("tenants"), { authorization: `Bearer ${bob}` })).headers.get("x-larder-cache"),
    ).toBe("HIT");
    expect(
      (await keyed.post("/v1/chat/completions", chat("tenants"), { authorization: `Bearer ${ann}` })).headers.get("x-larder-cache"),
    ).toBe("MISS");
    await keyed.close();
  });

  it("S6: in passthrough, keys that begin alike are different tenants, and each goes upstream as it is", async () => {
    const passing = await startBed({ auth: "passthrough" });
    const beginning = "sk-".padEnd(80, "x");
    const verdicts = [];
    for (const key of [`${beginning}1`, `${beginning}2`, `${beginning}1`])
      verdicts.push(
        (await passing.post("/v1/chat/completions", chat("alike"), { authorization: `Bearer ${key}` })).headers.get("x-larder-cache"),
      );
    expect(verdicts).toEqual(["MISS", "MISS", "HIT"]);
    expect(passing.upstream.seen.at(-1)?.headers.authorization).toBe(`Bearer ${beginning}2`);
    expect((await passing.post("/v1/chat/completions", chat("alike"))).status).toBe(401);
    await passing.close();
  });

  it("S8: in passthrough, the caller's key is shown to nobody but the upstream that it is for", async () => {
    const second = await FixtureUpstream.start();
    const anthropic = await FixtureUpstream.start();
    const passing = await startBed({
      auth: "passthrough",
      anthropicBaseUrl: anthropic.url,
      providers: {
        closed: { baseUrl: second.url, apiKey: "sk-closed", models: ["listed"] },
        own: { baseUrl: second.url, apiKey: "sk-own", passthrough: "own-key" },
        theirs: { baseUrl: second.url, passthrough: "callers-key" },
      },
      routes: [
        {
          model: "failing",
          targets: [{ provider: "openai" }],
          fallbacks: ["closed", "anthropic", "own"].map((provider) => ({ provider })),
        },
      ],
    });
    passing.upstream.behaviour = (seen, response) => {
      if (seen.body.model !== "failing") return false;
      response.writeHead(status, { "content-type": "application/json" }).end("{}");
      return true;
    };
    let status = 500;
    const authorization = "Bearer sk-USER-OWN-KEY";
    const ask = async (model: string): Promise<number> =>
      (await passing.post("/v1/chat/completions", chat("whose key", { model }), { authorization })).status;
    const shown = (upstream: FixtureUpstream) =>
      upstream.seen.splice(0).map(({ headers }) => headers.authorization ?? headers["x-api-key"]);

    expect([await ask("closed/zzz"), await ask("listed"), shown(second)]).toEqual([403, 403, []]);
    expect([await ask("failing"), shown(second), shown(anthropic)]).toEqual([200, ["Bearer sk-own"], []]);
    // A refusal of the caller's own key is the caller's to hear of, and nobody answers on the operator's account instead.
    status = 401;
    expect([
      (await passing.post("/v1/chat/completions", chat("whose fault", { model: "failing" }), { authorization })).status,
      shown(second),
    ]).toEqual([401, []]);
    expect([await ask("own/zzz"), await ask("theirs/zzz"), shown(second)]).toEqual([200, 200, ["Bearer sk-own", authorization]]);

    const models = async (more: Record<string, string> = {}): Promise<string> =>
      await (await fetch(`${passing.url}/v1/models`, { headers: { authorization, ...more } })).text();
    expect(await models()).not.toContain("listed");
    expect([shown(second).sort(), shown(anthropic)]).toEqual([["Bearer sk-USER-OWN-KEY", "Bearer sk-own"], []]);
    passing.upstream.seen.length = 0;
    await models({ "anthropic-version": "2023-06-01" });
    expect([shown(passing.upstream), shown(anthropic)]).toEqual([[], [authorization]]);
    await Promise.all([passing.close(), second.close(), anthropic.close()]);
  });

  it("in passthrough, a list of models that was asked for with one caller's key is shown to no other", async () => {
    const passing = await startBed({ auth: "passthrough" });
    passing.upstream.behaviour = ({ headers }, response) => {
      const id = `ft-of-${headers.authorization?.slice("Bearer ".length)}`;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ object: "list", data: [{ id }] }));
      return true;
    };
    for (const key of ["sk-ann", "sk-bob", "sk-ann"]) {
      const list = await (await fetch(`${passing.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).text();
      expect([key, ...(list.match(/ft-of-[\w-]+/g) ?? [])]).toEqual([key, `ft-of-${key}`]);
    }
    expect(passing.upstream.seen.length).toBe(2);
    await passing.close();
  });

  it("in passthrough, Anthropic's upstream gets the caller's key in the header in which it came", async () => {
    const anthropic = await FixtureUpstream.start();
    const passing = await startBed({ auth: "passthrough", anthropicBaseUrl: anthropic.url });
    for (const client of [
      { apiKey: "sk-ant-key" },
      { authToken: "sk-ant-oat-token" },
      { defaultHeaders: { "x-api-key": "sk-ant-old-client" } },
    ]) {
      const messages = new Anthropic({ apiKey: null, authToken: null, ...client, baseURL: passing.url }).messages;
      await messages.create({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "whose" }] });
      await messages.countTokens({ model: "m", messages: [] }).catch(() => undefined);
    }
    const came = anthropic.seen.map(({ headers }) => [headers.authorization, headers["x-api-key"]]);
    const once = [
      ["Bearer sk-ant-key", undefined],
      ["Bearer sk-ant-oat-token", undefined],
      [undefined, "sk-ant-old-client"],
    ];
    expect(came.filter((_, index) => index % 2 === 0)).toEqual(once);
    expect(came.filter((_, index) => index % 2 === 1)).toEqual(once);
    await Promise.all([passing.close(), anthropic.close()]);
  });

  // Regression: files went by their path alone, and OpenAI was shown the caller's key for Anthropic, and the file.
  it("in passthrough, what Anthropic's client asks for under paths of both APIs goes with the caller's key to Anthropic alone", async () => {
    const anthropic = await FixtureUpstream.start();
    anthropic.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end('{"data":[],"has_more":false}');
      return true;
    };
    const passing = await startBed({ auth: "passthrough", anthropicBaseUrl: anthropic.url });
    const client = new Anthropic({ apiKey: "sk-ant-key", baseURL: passing.url });
    await client.beta.files.list();
    expect([passing.upstream.seen.length, anthropic.seen.map(({ path }) => path)]).toEqual([0, ["/v1/files"]]);
    await Promise.all([passing.close(), anthropic.close()]);
  });

  it.each([
    ["GET", "/v1/files"],
    ["DELETE", "/v1/files/file-of-ta"],
    ["GET", "/v1/files/file-of-ta/content"],
    ["POST", "/v1/batches"],
    ["POST", "/v1/messages/batches"],
    ["GET", "/v1/fine_tuning/jobs"],
    ["POST", "/v1/threads/thread_of_ta/messages"],
    ["GET", "/v1/assistants"],
    ["GET", "/v1/vector_stores"],
    ["POST", "/v1/uploads"],
    ["GET", "/v1/containers"],
    ["GET", "/v1/conversations/conv_of_ta"],
    ["GET", "/v1/chat/completions"],
    ["GET", "/v1/responses/resp_of_ta"],
    ["DELETE", "/v1/models/ft-of-ta"],
    ["POST", "/v1/realtime/client_secrets"],
    ["GET", "/v1/organization/admin_api_keys"],
    ["GET", "/v1/%66iles"],
    ["GET", "/v1/of-tomorrow"],
  ])("closes to tenants what the provider keeps for all of them together: %s %s", async (method, path) => {
    const { url, key } = await keyedBed();
    const calls = keyed?.upstream.calls;
    expect((await fetch(url + path, { method, headers: { authorization: `Bearer ${key}` } })).status).toBe(403);
    expect(keyed?.upstream.calls).toBe(calls);
  });

  it("passes on for tenants what keeps nothing, and what the operator has opened", async () => {
    const { url, key } = await keyedBed();
    const reach = async (method: string, path: string): Promise<number> =>
      (await fetch(url + path, { method, headers: { authorization: `Bearer ${key}`, "content-type": "text/plain" } })).status;
    // The fixture does not know these: 404 is its word.
    expect([await reach("POST", "/v1/moderations"), await reach("POST", "/v1/audio/speech")]).toEqual([404, 404]);
    expect([await reach("GET", "/v1/opened"), await reach("DELETE", "/v1/opened/item"), await reach("GET", "/v1/openednot")]).toEqual([
      404, 404, 403,
    ]);
    const single = bed;
    expect((await fetch(`${single.url}/v1/files`)).status).toBe(200);
  });

  it("passes on no method that would have the provider tell its credential, and no path that ends elsewhere than it reads", async () => {
    const { url, key, upstream } = await keyedBed();
    const send = (method: string, path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sent = request(url, { method, path, headers: { authorization: `Bearer ${key}` } }, (answer) => {
          answer.resume().on("end", () => resolve(answer.statusCode));
        });
        sent.on("error", reject).end();
      });
    const before = upstream.seen.length;
    // `#` and what follows would not be sent on: this would delete what may only be read.
    expect(await send("DELETE", "/v1/opened/a#/b")).toBe(404);
    for (const method of ["TRACE", "PROPFIND", "SEARCH"]) expect(await send(method, "/v1/opened")).toBe(405);
    expect(upstream.seen.length).toBe(before);
  });

  it("S7: a revoked key is refused at the next request", async () => {
    const keyed = await startBed({ auth: "keys" });
    const { id, key } = (await (await keyed.admin("POST", "/admin/keys", { tenant: "t" })).json()) as { id: string; key: string };
    const ask = (): Promise<Response> => keyed.post("/v1/chat/completions", chat("revoked"), { authorization: `Bearer ${key}` });
    expect((await ask()).status).toBe(200);
    // Listed by what tells it from others, and not shown again.
    const listed = await (await keyed.admin("GET", "/admin/keys")).text();
    expect(JSON.parse(listed)).toMatchObject({ keys: [{ id, tenant: "t", hint: key.slice(-43, -39) }] });
    expect([listed.includes(key.slice(-39)), listed.includes(hashKey(key))]).toEqual([false, false]);
    expect((await keyed.admin("DELETE", `/admin/keys/${id}`)).status).toBe(200);
    expect((await ask()).status).toBe(401);
    await keyed.close();
  });

  it("limits a key to its requests per minute, and says when to come back", async () => {
    const keyed = await startBed({ auth: "keys" });
    const { key } = (await (await keyed.admin("POST", "/admin/keys", { tenant: "t", limits: { requestsPerMinute: 2 } })).json()) as {
      key: string;
    };
    const statuses = [];
    for (let round = 0; round < 3; round += 1)
      statuses.push(await keyed.post("/v1/chat/completions", chat("limited"), { authorization: `Bearer ${key}` }));
    expect(statuses.map((response) => response.status)).toEqual([200, 200, 429]);
    expect(Number(statuses[2]?.headers.get("retry-after"))).toBeGreaterThan(0);
    await keyed.close();
  });

  it("stores keys as digests of all of them", () => {
    expect(hashKey("a".repeat(64))).not.toBe(hashKey(`${"a".repeat(63)}b`));
  });
});

describe("S8: SSRF", () => {
  const guard = new AddressGuard();
  it.each([
    "https://0x7f000001/v1",
    "https://2130706433/v1",
    "https://127.1/v1",
    "https://017700000001/v1",
    "https://①②⑦.⓪.⓪.①/v1",
    "https://[::ffff:127.0.0.1]/v1",
    "https://[::1]/v1",
    "https://0/v1",
    "https://localhost./v1",
    "https://169.254.169.254/v1",
    "https://168.63.129.16/v1",
    "https://[::ffff:168.63.129.16]/v1",
    "https://[fd00:ec2::254]/v1",
    "https://10.0.0.1/v1",
    "https://[64:ff9b::7f00:1]/v1",
    "https://user:pass@api.openai.com/v1",
    "https:\\\\127.0.0.1\\v1",
    "http://api.openai.com/v1",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
  ])("refuses %s when it is saved", async (baseUrl) => {
    expect(await guard.check(baseUrl)).toBeTruthy();
    expect((await strict.admin("PUT", "/admin/providers/ssrf", { apiKey: CANARY, baseUrl })).status).toBe(400);
  });

  it("refuses a name that resolves to a private address at save, and again at connect when it resolves differently then", async () => {
    const answers = ["93.184.216.34", "127.0.0.1"];
    const rebinding = new AddressGuard([], ((_host: string, options: { all?: boolean }, callback: (...told: unknown[]) => void) => {
      const address = answers.shift() ?? "127.0.0.1";
      options.all ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4);
    }) as never);
    expect(await rebinding.check("https://rebinding.example/v1")).toBeUndefined();
    const connected = await new Promise((resolve) =>
      rebinding.lookupFor(443)("rebinding.example", { all: true }, (error) => resolve(error)),
    );
    expect(connected).toMatchObject({ code: "ERR_ADDRESS_REFUSED" });
    expect(await rebinding.check("https://rebinding.example/v1")).toBeTruthy();
  });

  it("allows a private host on the ports that are named, the usual ones included where none is in the URL", async () => {
    const guarded = new AddressGuard(["10.0.0.1:443", "10.0.0.2:80", "10.0.0.3:8080", "10.0.0.4"]);
    const isAllowed = async (url: string): Promise<boolean> => (await guarded.check(url)) === undefined;
    for (const url of ["https://10.0.0.1", "http://10.0.0.2/v1", "http://10.0.0.3:8080", "http://10.0.0.4", "https://10.0.0.4:9"])
      expect([url, await isAllowed(url)]).toEqual([url, true]);
    for (const url of ["http://10.0.0.1", "https://10.0.0.2", "https://10.0.0.3", "https://10.0.0.1:8443", "https://10.0.0.5:443"])
      expect([url, await isAllowed(url)]).toEqual([url, false]);
  });

  it("knows public addresses from all others", () => {
    expect(["8.8.8.8", "2606:4700::1111"].map(isPublic)).toEqual([true, true]);
    expect(["100.64.0.1", "192.0.2.1", "224.0.0.1", "fe80::1%eth0", "nonsense", "2002:7f00:1::"].map(isPublic)).toEqual(
      Array(6).fill(false),
    );
  });

  it("follows no redirect with the credential", async () => {
    await save("redirecting", { apiKey: CANARY, baseUrl: bed.upstream.url, models: ["redirected"] });
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(302, { location: "http://127.0.0.1:1/metadata" }).end();
      return true;
    };
    const before = bed.upstream.calls;
    expect((await bed.post("/v1/chat/completions", chat("redirect", { model: "redirected" }))).status).toBe(502);
    expect(bed.upstream.calls - before).toBe(1);
  });

  it("S9: nothing in a request chooses the host or the credential", async () => {
    const extra = {
      api_base: "http://127.0.0.1:1",
      base_url: "http://127.0.0.1:1",
      api_key: "x",
      provider: "evil",
      custom_llm_provider: "evil",
    };
    const headers = {
      "x-larder-provider": "evil",
      "x-portkey-custom-host": "http://127.0.0.1:1",
      "x-forwarded-host": "evil",
      "openai-base-url": "evil",
    };
    expect((await bed.post("/v1/chat/completions", chat("override", extra), headers)).status).toBe(200);
    const seen = bed.upstream.seen.at(-1);
    expect([seen?.headers.host, seen?.headers.authorization, seen?.headers["x-portkey-custom-host"]]).toEqual([
      bed.upstream.host,
      "Bearer sk-upstream-canary-7f3a9c",
      undefined,
    ]);
  });

  it.each(["expect", "TE", "Upgrade", "keep-alive", "content-type", "accept-encoding"])(
    "takes no header that is the connection's or the call's own: %s",
    async (name) => {
      const saved = await bed.admin("PUT", "/admin/providers/framed", { baseUrl: "https://example.com/v1", headers: { [name]: "x" } });
      expect(saved.status).toBe(400);
    },
  );

  it("never gives a kept credential to another host", async () => {
    await save("moving", { apiKey: CANARY, baseUrl: bed.upstream.url });
    expect((await save("moving", { baseUrl: "https://93.184.216.34/v1" })).status).toBe(400);
    await save("moving", { apiKey: null, headers: { "api-key": CANARY }, baseUrl: bed.upstream.url });
    expect((await save("moving", { baseUrl: "https://93.184.216.34/v1" })).status).toBe(400);
    expect((await save("moving", { headers: {}, baseUrl: "https://93.184.216.34/v1" })).status).toBe(200);
    await save("moving", { apiKey: CANARY, headers: { "api-key": CANARY }, baseUrl: bed.upstream.url });
    for (const [brought, status] of [
      [{ apiKey: "sk-of-there" }, 400],
      [{ headers: {} }, 400],
      [{ apiKey: "sk-of-there", headers: {} }, 200],
    ] as const)
      expect((await save("moving", { ...brought, baseUrl: "https://93.184.216.34/v1" })).status).toBe(status);
  });

  it("keeps key and headers that a save leaves out, tells neither, and refuses what stands for a header's value", async () => {
    const sent = async (): Promise<unknown> => {
      await bed.post("/v1/chat/completions", chat("kept", { model: "kept-model" }), { "cache-control": "no-store" });
      const { authorization, "api-key": apiKey } = bed.upstream.seen.at(-1)?.headers ?? {};
      return [authorization, apiKey];
    };
    const common = { baseUrl: bed.upstream.url, models: ["kept-model"] };
    const told = (await (await save("kept", { ...common, apiKey: CANARY, headers: { "api-key": "hdr-1" } })).json()) as Record<
      string,
      unknown
    >;
    expect([told.headers, told.hasApiKey, told.apiKey]).toEqual([{ "api-key": "[redacted]" }, true, undefined]);
    expect((await save("kept", common)).status).toBe(200);
    expect(await sent()).toEqual([`Bearer ${CANARY}`, "hdr-1"]);
    expect((await save("kept", { ...common, headers: told.headers })).status).toBe(400);
    await save("kept", { ...common, headers: { "api-key": "hdr-2" } });
    expect(await sent()).toEqual([`Bearer ${CANARY}`, "hdr-2"]);
    await save("kept", { ...common, apiKey: null });
    expect(await sent()).toEqual([undefined, "hdr-2"]);
    await save("kept", { ...common, headers: {} });
    expect(await sent()).toEqual([undefined, undefined]);
  });
});

describe("S10, S11: credentials stay inside", () => {
  const QUOTED = { error: { message: "Incorrect API key provided: sk-upstream-canary-7f3a9c", type: "invalid_request_error" } };

  it.each([
    ["a body", "application/json", JSON.stringify(QUOTED)],
    ["an event", "text/event-stream", `data: ${JSON.stringify(QUOTED)}\n\ndata: [DONE]\n\n`],
    ["an event of messages", "text/event-stream", `event: error\ndata: ${JSON.stringify({ type: "error", ...QUOTED })}\n\n`],
    [
      "a failed response",
      "text/event-stream",
      `data: ${JSON.stringify({ type: "response.failed", response: { status: "failed", ...QUOTED } })}\n\n`,
    ],
  ])("are struck out of errors with status 200 too: %s, cut in the middle of the key", async (name, type, text) => {
    bed.upstream.behaviour = async (_seen, response) => {
      response.writeHead(200, { "content-type": type });
      const middle = text.indexOf("canary");
      response.write(text.slice(0, middle));
      await new Promise((resolve) => setTimeout(resolve, 5));
      response.end(text.slice(middle));
      return true;
    };
    for (const path of ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/moderations"])
      for (const stream of [false, true])
        for (const headers of [{}, { "cache-control": "no-store" }]) {
          const body = { ...chat(`quoted ${name}`), input: `quoted ${name}`, max_tokens: 5, stream };
          const told = await (await bed.post(path, body, headers as Record<string, string>)).text();
          expect([path, stream, headers, told.includes("canary")]).toEqual([path, stream, headers, false]);
        }
  });

  it.each(["a\r\nx: y", "a\0b", "a…b", "", " "])(
    "refuses a credential that no header can carry, without quoting it: %j",
    async (apiKey) => {
      const response = await save("bad-key", {
        apiKey: `${CANARY}${apiKey}`.slice(apiKey.trim() === "" ? CANARY.length : 0),
        baseUrl: bed.upstream.url,
      });
      expect([response.status, (await response.text()).includes(CANARY)]).toEqual([400, false]);
    },
  );

  it("is in no answer, log, metric, database file or error, although the upstream quotes it", async () => {
    const sweep = await startBed({ allowedPrivateHosts: ["127.0.0.1"] });
    const told: string[] = [];
    const collect = async (response: Response): Promise<void> =>
      void told.push(await response.text(), JSON.stringify([...response.headers]));
    const headers = { "api-key": `hdr-${CANARY}` };
    const provider = { apiKey: CANARY, baseUrl: sweep.upstream.url, models: ["leaky"], headers };
    await collect(await sweep.admin("PUT", "/admin/providers/leaky", provider));
    sweep.upstream.behaviour = (_seen, response) => {
      const masked = `${CANARY.slice(0, 8)}*******${CANARY.slice(-4)}`;
      response.writeHead(401, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ error: { message: `Incorrect API key provided: ${CANARY} (${masked}), hdr-${CANARY}`, code: "invalid_api_key" } }),
      );
      return true;
    };
    await collect(await sweep.post("/v1/chat/completions", chat("leak", { model: "leaky" })));
    await collect(await sweep.post("/v1/embeddings", { model: "leaky", input: "x" }));
    for (const path of ["/admin/providers", "/admin/providers/leaky", "/admin/cache/stats", "/admin/audit"])
      await collect(await sweep.admin("GET", path));
    await collect(await fetch(`${sweep.url}/metrics`));
    expect(told.join("\n")).toContain("invalid_api_key");
    for (const file of readdirSync(sweep.directory, { recursive: true, withFileTypes: true }))
      if (file.isFile()) told.push(readFileSync(join(file.parentPath, file.name), "latin1"));
    expect(sweep.upstream.seen.at(-1)?.headers["api-key"]).toBe(`hdr-${CANARY}`);
    const everything = [...told, ...sweep.logs].join("\n");
    expect([everything.includes(CANARY.slice(0, 7)), everything.includes(ADMIN_TOKEN)]).toEqual([false, false]);
    await sweep.close();
  });
});

describe("S13: hostile bodies", () => {
  it.each([
    ["not JSON", "{nope", 400],
    ["a list", "[]", 400],
    ["nested 100,000 deep", `{"model":"m","messages":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, 400],
    ["a name twice", '{"model":"m","model":"n","messages":[]}', 400],
    ["no model", '{"messages":[]}', 400],
  ])("answers %s with an error in OpenAI's shape", async (_name, body, status) => {
    const response = await bed.post("/v1/chat/completions", body);
    const { error } = (await response.json()) as { error: { message: string; type: string } };
    expect([response.status, error.type, /\n\s+at /.test(error.message)]).toEqual([status, "invalid_request_error", false]);
  });

  it("answers a body that is too large with 413, told or not", async () => {
    const small = await startBed({ maxBody: 1000 });
    expect((await small.post("/v1/chat/completions", chat("x".repeat(2000)))).status).toBe(413);
    const chunked = new ReadableStream({
      start: (controller) => {
        controller.enqueue(Buffer.alloc(5000, 0x20));
        controller.close();
      },
    });
    const response = await fetch(`${small.url}/v1/chat/completions`, { method: "POST", body: chunked, duplex: "half" } as RequestInit);
    expect(response.status).toBe(413);
    await small.close();
  });

  it("takes no administrative body of unknown length, nor a large one", async () => {
    const send = (body: string, headers: Record<string, string>): Promise<number> =>
      new Promise((resolve, reject) => {
        const all = { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers };
        const sent = request(`${bed.url}/admin/cache/explain`, { method: "POST", headers: all });
        sent.on("error", reject).on("response", (response) => {
          response.resume();
          resolve(response.statusCode as number);
        });
        // A head alone: what is refused by it is not waited for.
        sent.flushHeaders();
        if (body !== "") sent.end(body);
      });
    expect(await send("", { "transfer-encoding": "chunked" })).toBe(411);
    expect(await send("", { "content-length": String(2 * 1024 * 1024 + 1) })).toBe(413);
    expect(await send(" ".repeat(2 * 1024 * 1024), { "content-length": String(2 * 1024 * 1024) })).toBe(400);
  });

  it("S21: names like __proto__ are names like any other", async () => {
    for (const id of ["__proto__", "constructor", "toString"])
      expect([400, 200]).toContain((await save(id, { baseUrl: bed.upstream.url })).status);
    const body = '{"model":"__proto__","messages":[{"role":"user","content":"proto"}],"__proto__":{"a":1}}';
    expect((await bed.post("/v1/chat/completions", body)).headers.get("x-larder-cache")).toBe("MISS");
    expect((await bed.post("/v1/chat/completions", body.replace('"a":1', '"a":2'))).headers.get("x-larder-cache")).toBe("MISS");
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });

  it("what the administration does not take is answered with what would do", async () => {
    const problem = async (answer: Promise<Response>): Promise<string> =>
      ((await (await answer).json()) as { error: { message: string } }).error.message;
    expect(await problem(save("sandbox", { baseUrl: bed.upstream.url }))).toMatch(/id is reserved/);
    expect(await problem(save("-a", { baseUrl: bed.upstream.url }))).toMatch(/beginning with a letter or digit/);
    expect(await problem(save("shaped", { baseUrl: bed.upstream.url, apiKey: "two words" }))).toMatch(/apiKey must be one line of visible/);
    for (const tenant of ["", "a b", "x".repeat(129)])
      expect(await problem(bed.admin("POST", "/admin/keys", { tenant }))).toMatch(/tenant must be 1 to 128 letters/);
  });

  it("S24: ids and tokens are values, never SQL", async () => {
    const keyed = await startBed({ auth: "keys" });
    const token = `' OR 1=1; DROP TABLE gateway_keys; --`;
    expect((await keyed.post("/v1/chat/completions", chat("sql"), { authorization: `Bearer ${token}` })).status).toBe(401);
    expect((await keyed.admin("DELETE", `/admin/keys/${encodeURIComponent(token)}`)).status).toBe(404);
    expect((await keyed.admin("GET", "/admin/keys")).status).toBe(200);
    await keyed.close();
  });

  it("S12: a log line cannot be begun by a value", () => {
    for (const line of bed.logs) expect(() => JSON.parse(line)).not.toThrow();
  });
});

describe("S15, S16: sealed credentials", () => {
  const key = Buffer.alloc(32, 7);
  const sealer = new Sealer(key);
  it("open for their own record alone, whole, under their own key", () => {
    const sealed = sealer.seal(CANARY, "provider:a");
    expect(sealer.open(sealed, "provider:a")).toBe(CANARY);
    const parts = sealed.split(".");
    const cut = [
      ...parts.slice(0, 3),
      Buffer.from(parts[3] as string, "base64url")
        .subarray(0, 4)
        .toString("base64url"),
      parts[4],
    ].join(".");
    const spoiled = [...parts.slice(0, 4), Buffer.from("x").toString("base64url") + (parts[4] as string).slice(2)].join(".");
    for (const [envelope, slot, opener] of [
      [sealed, "provider:b", sealer],
      [cut, "provider:a", sealer],
      [spoiled, "provider:a", sealer],
      [sealed, "provider:a", new Sealer(Buffer.alloc(32, 8))],
    ] as const)
      expect(() => opener.open(envelope, slot)).toThrow(/sealed credential/);
  });

  it("rotate: an older key still opens, and says that it is outdated", () => {
    const rotated = new Sealer(Buffer.alloc(32, 9), [key]);
    const sealed = sealer.seal(CANARY, "provider:a");
    expect([rotated.open(sealed, "provider:a"), rotated.isOutdated(sealed), rotated.isOutdated(rotated.seal("x", "y"))]).toEqual([
      CANARY,
      true,
      false,
    ]);
  });

  it("never use a nonce twice", () => {
    const nonces = new Set(Array.from({ length: 20_000 }, () => sealer.seal("x", "y").split(".")[2]));
    expect(nonces.size).toBe(20_000);
  });

  it("S23: a master key that is empty or of another length is none", async () => {
    expect(["", "short", "00".repeat(31), Buffer.alloc(31).toString("base64")].map(readMasterKey)).toEqual(Array(4).fill(undefined));
    // In base64 it begins with "+/+".
    const key = Buffer.concat([Buffer.from([0xfb, 0xff, 0xbf]), Buffer.alloc(29, 7)]);
    for (const text of [key.toString("hex"), key.toString("base64"), key.toString("base64url"), ` ${key.toString("base64")}\n`])
      expect(readMasterKey(text)).toEqual(key);
    for (const short of [[Buffer.alloc(31)], [key, Buffer.alloc(16)]] as const)
      expect(() => new Sealer(short[0], short.slice(1))).toThrow("a master key has 32 bytes");
    await expect(startBed({ masterKey: "short" })).rejects.toThrow(/LARDER_MASTER_KEY/);
  });
});

describe("S18: administration", () => {
  it("answers 401 on every route that there is, with no token, a wrong one or a user's key", async () => {
    const parts = { adminToken: ADMIN_TOKEN } as unknown as AdminParts;
    const stub = { answers: {}, planner: {}, settings: {}, answer: () => undefined };
    const { routes } = createAdminApp(new Proxy(parts, { get: (target, name) => (name === "adminToken" ? target.adminToken : stub) }));
    const paths = routes.filter((route) => route.method !== "ALL").map(({ method, path }) => [method, path.replace(/:\w+/g, "x")] as const);
    expect(paths.length).toBeGreaterThan(12);
    for (const [method, path] of paths)
      for (const authorization of ["", "Bearer wrong", "Basic eDp5", `bearer ${ADMIN_TOKEN}x`]) {
        const response = await fetch(bed.url + path, {
          method,
          headers: { authorization, "x-forwarded-for": "127.0.0.1", "x-original-url": "/" },
        });
        expect(response.status, `${method} ${path}`).toBe(401);
      }
  });

  it("answers 405 on a route that is used with other methods, and tells with which; 401 before that, and 404 where there is no route", async () => {
    const cases: ReadonlyArray<readonly [method: string, path: string, allow: string]> = [
      ["POST", "/admin/providers", "GET, HEAD"],
      ["PATCH", "/admin/providers/one", "DELETE, GET, HEAD, PUT"],
      ["GET", "/admin/cache/invalidate", "POST"],
      ["OPTIONS", "/admin/keys", "GET, HEAD, POST"],
      ["GET", "/admin/keys/one", "DELETE"],
      ["DELETE", "/admin/sync?now=1", "GET, HEAD, POST"],
      ["PUT", "/admin/audit", "GET, HEAD"],
    ];
    for (const [method, path, allow] of cases) {
      const response = await bed.admin(method, path);
      expect([response.status, response.headers.get("allow")], `${method} ${path}`).toEqual([405, allow]);
      expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error" } });
      const unknown = await fetch(bed.url + path, { method });
      expect([unknown.status, unknown.headers.get("allow")]).toEqual([401, null]);
    }
    for (const path of ["/admin/keys/one/two", "/admin/nothing", "/admin", "/admin/auditx"])
      expect((await bed.admin("POST", path)).status, path).toBe(404);
  });

  it.each([
    "//admin/providers",
    "/%61dmin/providers",
    "/v1/../admin/providers",
    "/v1/%2e%2e/admin/providers",
    "/admin/../admin/providers",
    "/ADMIN/providers",
  ])("gives nothing away at %s", async (path) => {
    const status = await rawStatus(bed, `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`);
    expect([401, 403, 404]).toContain(status);
  });

  it.each([
    ["a foreign Host", { host: "evil.example" }],
    ["a foreign Origin", { host: "127.0.0.1", origin: "https://evil.example" }],
    ["a cross-site fetch", { host: "127.0.0.1", "sec-fetch-site": "cross-site" }],
  ])("without keys, refuses what comes from a web page: %s", async (_name, headers) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    expect(await rawStatus(bed, `GET /v1/models HTTP/1.1\r\n${lines.join("")}connection: close\r\n\r\n`)).toBe(403);
  });
});

function rawStatus({ gateway }: Bed, request: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(gateway.port, "127.0.0.1", () => socket.write(request));
    socket.on("data", (data) => {
      text += data.toString();
    });
    socket.on("error", reject).on("close", () => resolve(Number(text.split(" ")[1])));
  });
}
