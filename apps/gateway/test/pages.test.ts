import { afterEach, describe, expect, it } from "vitest";
import { createSettings } from "../src/config/read-settings.ts";
import { ADMIN_TOKEN, type Bed, chat, startBed } from "./support/start.ts";

let bed: Bed | undefined;
afterEach(async () => {
  await bed?.close();
  bed = undefined;
});

const PAGE = "https://app.example.com";
const CHAT = "/v1/chat/completions";
const corsOf = ({ headers }: Response): Array<string | null> => [headers.get("access-control-allow-origin"), headers.get("vary")];

/** What a browser asks before a page's request. */
const preflight = (on: Bed, origin: string, path = CHAT): Promise<Response> =>
  fetch(on.url + path, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,x-stainless-os" },
  });

describe("a page in a browser", () => {
  it("may use the API from an origin that is allowed, errors and streams included", async () => {
    bed = await startBed({ auth: "keys", allowedOrigins: [PAGE] });
    const asked = await preflight(bed, PAGE);
    expect([asked.status, ...corsOf(asked), asked.headers.get("access-control-allow-headers")]).toEqual([
      ...[204, PAGE, "origin", "authorization,x-stainless-os"],
    ]);
    expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
    const refused = await bed.post(CHAT, chat("from a page"), { origin: PAGE });
    expect([refused.status, ...corsOf(refused)]).toEqual([401, PAGE, "origin"]);
    const made = (await (await bed.admin("POST", "/admin/keys", { tenant: "a", name: "page" })).json()) as { key: string };
    const headers = { origin: PAGE, authorization: `Bearer ${made.key}` };
    for (const body of [chat("from a page"), chat("from a page", { stream: true }), chat("live", { stream: true })]) {
      const answer = await bed.post(CHAT, body, headers);
      expect([answer.status, ...corsOf(answer), answer.headers.get("access-control-expose-headers")]).toEqual([200, PAGE, "origin", "*"]);
      expect((await answer.text()).length).toBeGreaterThan(0);
    }
  });

  it("is told beside what a provider's answer varies by that it varies by origin: what may be kept for one page is not for another", async () => {
    bed = await startBed({ allowedOrigins: [PAGE] });
    bed.upstream.behaviour = (_seen, response) => {
      response.writeHead(200, { "content-type": "application/json", vary: "Accept, Authorization", "cache-control": "public, max-age=60" });
      response.end("{}");
      return true;
    };
    for (const headers of [{ origin: PAGE }, {}]) {
      const answer = await fetch(`${bed.url}/v1/files/a/content`, { headers });
      expect([answer.headers.get("vary"), answer.headers.get("cache-control")]).toEqual([
        "origin, Accept, Authorization",
        "public, max-age=60",
      ]);
    }
  });

  it("of another origin is told nothing, and administration nothing at all", async () => {
    bed = await startBed({ auth: "keys", allowedOrigins: [PAGE] });
    for (const origin of ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", "null"]) {
      const asked = await preflight(bed, origin);
      expect([asked.status, ...corsOf(asked)]).toEqual([401, null, "origin"]);
    }
    const administration = await preflight(bed, PAGE, "/admin/keys");
    expect([administration.status, corsOf(administration)[0]]).toEqual([401, null]);
    const stats = await fetch(`${bed.url}/admin/cache/stats`, { headers: { origin: PAGE, authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(corsOf(stats)[0]).toBeNull();
  });

  it("may use a gateway without keys where its origin is named, and administration stays closed to it", async () => {
    bed = await startBed({ allowedOrigins: ["http://localhost:3000"] });
    const page = { origin: "http://localhost:3000", "sec-fetch-site": "same-site" };
    expect((await bed.post(CHAT, chat("local"), page)).status).toBe(200);
    expect((await bed.post(CHAT, chat("local"), { ...page, origin: "http://localhost:3001" })).status).toBe(403);
    const stats = await fetch(`${bed.url}/admin/cache/stats`, { headers: { ...page, authorization: `Bearer ${ADMIN_TOKEN}` } });
    expect(stats.status).toBe(403);
  });

  it("of any origin is let in where there are keys alone", async () => {
    await expect(startBed({ allowedOrigins: ["*"] })).rejects.toThrow(
      "LARDER_ALLOWED_ORIGINS must name the origins where there are no keys",
    );
    bed = await startBed({ auth: "keys", allowedOrigins: ["*"] });
    expect([(await preflight(bed, PAGE)).status, ...corsOf(await preflight(bed, PAGE))]).toEqual([204, PAGE, "origin"]);
  });

  it.each(["app.example.com", "https://app.example.com/", "https://*.example.com", "ftp://x"])("%s is no origin", (origin) => {
    expect(() => createSettings({ allowedOrigins: [origin] })).toThrow("must hold origins such as https://app.example.com");
  });
});
