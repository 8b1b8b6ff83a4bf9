import { request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { createSettings, readSettings } from "../src/config/read-settings.ts";
import { type Bed, chat, startBed } from "./support/start.ts";

let bed: Bed | undefined;
afterEach(async () => {
  await bed?.close();
  bed = undefined;
});

/** Statuses of a model list asked for with each of these headers. */
async function statuses(
  settings: Parameters<typeof createSettings>[0],
  requests: ReadonlyArray<Record<string, string>>,
): Promise<number[]> {
  bed = await startBed(settings);
  const told: number[] = [];
  for (const headers of requests) told.push((await fetch(`${bed.url}/v1/models`, { headers })).status);
  return told;
}

const LIMITED = { addressLimits: { requestsPerMinute: 2 } };
const from = (address: string): Record<string, string> => ({ "x-forwarded-for": address });

describe("limits by client address", () => {
  it("count the connection's own address, whatever the headers of an untrusted peer say", async () => {
    const spoofed = ["1.1.1.1", "2.2.2.2", "3.3.3.3"].map((address) => ({
      ...from(address),
      forwarded: `for=${address}`,
      "x-real-ip": address,
    }));
    expect(await statuses(LIMITED, spoofed)).toEqual([200, 200, 429]);
    await bed?.close();
    expect(await statuses({ ...LIMITED, trustProxy: ["192.0.2.0/24"] }, spoofed)).toEqual([200, 200, 429]);
  });

  it("count the client behind a trusted proxy, and not what the client claims to be", async () => {
    const requests = ["203.0.113.1", "203.0.113.2", "203.0.113.1", "9.9.9.9, 203.0.113.1", "203.0.113.2"].map(from);
    expect(await statuses({ ...LIMITED, auth: "keys", trustProxy: ["127.0.0.1"] }, requests)).toEqual([401, 401, 401, 429, 401]);
  });

  it("tell when to come back, and guesses at keys count", async () => {
    bed = await startBed({ ...LIMITED, auth: "keys" });
    const answers = [];
    for (let round = 0; round < 3; round += 1)
      answers.push(await bed.post("/v1/chat/completions", chat("guess"), { "x-api-key": `guess-${round}` }));
    expect(answers.map((answer) => answer.status)).toEqual([401, 401, 429]);
    expect(Number(answers[2]?.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});

describe("the guard of a gateway without keys", () => {
  const local = { "x-forwarded-for": "127.0.0.1", "x-forwarded-host": "localhost:5173" };
  const requests: ReadonlyArray<readonly [string, Record<string, string>, trusted: number, untrusted: number]> = [
    ["nothing forwarded", {}, 200, 200],
    ["a client on another machine", from("203.0.113.9"), 403, 200],
    ["a client that claims to be on this one", from("127.0.0.1, 203.0.113.9"), 403, 200],
    ["a client that nobody knows", from("unknown"), 403, 200],
    ["headers that contradict each other", { ...from("127.0.0.1"), forwarded: "for=203.0.113.9" }, 403, 200],
    ["a foreign name", { ...from("127.0.0.1"), "x-forwarded-host": "gateway.example" }, 403, 200],
    ["a foreign name in Forwarded", { forwarded: "for=127.0.0.1;host=gateway.example" }, 403, 200],
    ["a page of this machine behind a proxy of this machine", { ...local, origin: "http://localhost:5173" }, 200, 403],
    ["the same over TLS", { ...local, "x-forwarded-proto": "https", origin: "https://localhost:5173" }, 200, 403],
    ["a page of another origin", { ...local, origin: "https://evil.example" }, 403, 403],
  ];

  it("looks at the proxy's client where the proxy is trusted, and at the connection where it is not", async () => {
    const headers = requests.map(([, sent]) => sent);
    const trusted = await statuses({ trustProxy: ["127.0.0.0/8", "::1"] }, headers);
    await bed?.close();
    const untrusted = await statuses({}, headers);
    expect(requests.map(([name], index) => [name, trusted[index], untrusted[index]])).toEqual(
      requests.map(([name, , whenTrusted, whenNot]) => [name, whenTrusted, whenNot]),
    );
  });

  it("refuses a page under a name of its own that writes the forwarded host itself, where the proxy lets both through", async () => {
    bed = await startBed({ trustProxy: ["127.0.0.1"] });
    const { port } = new URL(bed.url);
    const statusOf = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const headers = { ...local, host };
        request({ host: "127.0.0.1", port, path: "/v1/models", headers }, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end();
      });
    expect([await statusOf("rebound.example"), await statusOf("localhost:5173")]).toEqual([403, 200]);
  });

  it("stands in front of administration and open metrics as well", async () => {
    bed = await startBed({ trustProxy: ["127.0.0.1"] });
    const ask = async (path: string, headers: Record<string, string>): Promise<number> =>
      (await fetch(bed?.url + path, { headers })).status;
    expect([await ask("/metrics", {}), await ask("/metrics", from("203.0.113.9"))]).toEqual([200, 403]);
    expect([await ask("/admin/keys", {}), await ask("/admin/keys", from("203.0.113.9"))]).toEqual([401, 403]);
  });
});

describe("the audit trail", () => {
  it("names the address that an administrative change came from", async () => {
    bed = await startBed({ auth: "keys", trustProxy: ["127.0.0.1"] });
    const authorization = "Bearer test-admin-token-0123456789";
    const headers = { authorization, "content-type": "application/json", ...from("1.1.1.1, 203.0.113.9") };
    await fetch(`${bed.url}/admin/keys`, { method: "POST", headers, body: '{"tenant":"t"}' });
    const { entries } = (await (await bed.admin("GET", "/admin/audit")).json()) as { entries: Array<{ detail: string }> };
    expect(JSON.parse(entries[0]?.detail ?? "{}")).toMatchObject({ clientAddress: "203.0.113.9" });
    expect(bed.logs.some((line) => line.includes('"clientAddress":"203.0.113.9"'))).toBe(true);
  });
});

describe("LARDER_TRUST_PROXY", () => {
  it("takes addresses and ranges", () => {
    const { trustProxy } = readSettings({ LARDER_TRUST_PROXY: "10.0.0.0/8, ::1" }, "/nonexistent");
    expect(trustProxy).toEqual(["10.0.0.0/8", "::1"]);
  });

  it.each(["true", "canary.example", "10.0.0.0/33", "10.0.0.1, canary"])("refuses %s, naming the setting and not quoting it", (value) => {
    expect(() => readSettings({ LARDER_TRUST_PROXY: value }, "/nonexistent")).toThrow(
      /LARDER_TRUST_PROXY must hold IP addresses or CIDR ranges(?!.*canary)/s,
    );
    expect(() => createSettings({ trustProxy: value.split(", ") })).toThrow(/trustProxy\.\d must hold IP addresses/);
  });
});
