import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createSettings, readSettings, SettingsError, settingsJsonSchema, settingVariables } from "./read-settings.ts";
import { settingsSchema } from "./schema.ts";

const read = (environment: Record<string, string>): unknown => {
  try {
    return readSettings(environment, tmpdir());
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message;
  }
};

describe("readSettings", () => {
  it("has a default for everything", () => {
    expect(read({})).toMatchObject({
      host: "127.0.0.1",
      port: 8787,
      cacheTtl: 3_600_000,
      cacheMaxBytes: 268_435_456,
      maxBody: 20_971_520,
      workers: 1,
    });
  });

  it("reads durations, sizes and lists", () => {
    const environment = {
      LARDER_CACHE_TTL: "90s",
      LARDER_CACHE_MAX_BYTES: "1gb",
      LARDER_ALLOWED_PRIVATE_HOSTS: "a:1, b",
      LARDER_WORKERS: "auto",
    };
    expect(read(environment)).toMatchObject({
      cacheTtl: 90_000,
      cacheMaxBytes: 1_073_741_824,
      allowedPrivateHosts: ["a:1", "b"],
      workers: "auto",
    });
  });

  it.each([
    ["LARDER_CACHE_TTL", "60"],
    ["LARDER_CACHE_TTL", "0s"],
    ["LARDER_CACHE_TTL", "-5m"],
    ["LARDER_ADMIN_TOKEN", ""],
    ["LARDER_ADMIN_TOKEN", "short"],
    ["LARDER_MASTER_KEY", " "],
    ["PORT", "canary"],
    ["PORT", "0x50"],
    ["PORT", "1e3"],
    ["LARDER_COHERENCE_SAMPLE_RATE", "1.5"],
    ["LARDER_CACHE_TTL", "99999999999d"],
    ["LARDER_AUTH", "canary"],
    ["LARDER_CACHE_MAX_BYTES", "-1canary"],
    ["LARDER_CACHE_MAX_ENTRIES", "0"],
    ["OPENAI_BASE_URL", "https://user:canary@host/v1"],
    ["OPENAI_API_KEY", "canary with spaces"],
    ["DATABASE_URL", "mysql://canary"],
    ["LARDER_REDIS_PREFIX", "{canary}"],
    ["LARDER_TRUST_PROXY", "10/8"],
    // Timers of Node take what is longer for no time at all.
    ["LARDER_BODY_TIMEOUT", "25d"],
    ["LARDER_DRAIN", "30d"],
    ["LARDER_DRAIN_GRACE", "30d"],
    ["LARDER_UPSTREAM_TIMEOUT", "100d"],
    ["LARDER_SYNC_INTERVAL", "30d"],
  ])("refuses %s=%j, naming the variable and not quoting it", (name, value) => {
    const message = String(read({ [name]: value }));
    expect([message.includes(name), message.includes("canary")]).toEqual([true, false]);
  });

  it("says of a number that is too small what it must be", () => {
    expect(read({ LARDER_CACHE_MAX_ENTRIES: "0" })).toContain("LARDER_CACHE_MAX_ENTRIES must be at least 1");
    expect(read({ LARDER_WORKERS: "0", PORT: "-1" })).toContain("PORT must be a whole number from 0 to 65535");
  });

  it.each<[Record<string, string>, string]>([
    [{ LARDER_STALE_IF_ERROR: "1" }, "LARDER_STALE_IF_ERROR must be a duration with a unit, such as 30s, 10m or 1h, or 0s"],
    [{ LARDER_DRAIN_GRACE: "soon" }, "LARDER_DRAIN_GRACE must be a duration with a unit"],
    [{ LARDER_WORKERS: "max" }, "LARDER_WORKERS must be auto or a whole number from 1 to 256"],
    [{ DATABASE_URL: "file:" }, "DATABASE_URL must be file:PATH or postgres://host/database"],
    // Half a byte is none: nothing was cached, and every body was too large.
    [{ LARDER_CACHE_MAX_BYTES: "0.5b" }, "LARDER_CACHE_MAX_BYTES must be a size such as 512kb"],
    [{ LARDER_MAX_BODY: "0.0005kb" }, "LARDER_MAX_BODY must be a size such as 512kb"],
    // Each of these started, and each request then went astray.
    [{ OPENAI_BASE_URL: "https://host/v1?api-version=1" }, "OPENAI_BASE_URL must be an http or https URL without"],
    [{ OPENAI_BASE_URL: "https://host/v1/chat/completions" }, "OPENAI_BASE_URL must end where the paths of the API begin"],
    [{ ANTHROPIC_BASE_URL: "https://host/v1/messages/" }, "ANTHROPIC_BASE_URL must end where the paths of the API begin"],
    ...["http://10.0.0.1", "10.0.0.0/8", "*.internal", "::1"].map((host): [Record<string, string>, string] => [
      { LARDER_ALLOWED_PRIVATE_HOSTS: `fine:1,[::1]:80,${host}` },
      "LARDER_ALLOWED_PRIVATE_HOSTS must hold hosts as host or host:port",
    ]),
  ])("says of %j what it must be", (environment, problem) => {
    expect(read(environment)).toContain(problem);
  });

  it("takes numbers for numbers alone: true, null and lists would count as 1 or 0", () => {
    for (const port of [true, null, [8787], "", "80 81", 80.5])
      expect(() => createSettings({ port: port as number })).toThrow("port must be a whole number from 0 to 65535");
    expect(createSettings({ port: 80, coherenceSampleRate: 0.5 })).toMatchObject({ port: 80, coherenceSampleRate: 0.5 });
    expect(read({ PORT: " 80 ", LARDER_COHERENCE_SAMPLE_RATE: ".5" })).toMatchObject({ port: 80, coherenceSampleRate: 0.5 });
  });

  it("says what the names of providers and headers must be", () => {
    const named = (id: string, header: string) => () =>
      createSettings({ providers: { [id]: { baseUrl: "https://h/v1", headers: { [header]: "x" } } } });
    expect(named("a/b", "x")).toThrow("providers.a/b must be 1 to 64 letters");
    expect(named("a", "x y")).toThrow("providers.a.headers.x y must be a header's name");
  });

  it("takes an empty LARDER_CONFIG for none, and a file with a byte order mark", () => {
    const directory = mkdtempSync(join(tmpdir(), "larder-settings-"));
    writeFileSync(join(directory, "larder.config.json"), '\ufeff{"port":9000}');
    expect(readSettings({ LARDER_CONFIG: "" }, directory).port).toBe(9000);
    rmSync(directory, { recursive: true });
  });

  it("takes a time to live of any length", () => {
    expect(read({ LARDER_CACHE_TTL: "400d", LARDER_STALE_IF_ERROR: "400d" })).toMatchObject({ cacheTtl: 34_560_000_000 });
  });

  it("takes the README's example of the file as it stands", () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const example: unknown = JSON.parse(/```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? "");
    expect(settingsSchema.parse(example).routes.map(({ model }) => model)).toEqual(["gpt-4o*", "*-audio-preview"]);
  });

  it("takes no empty value of the file for a number", () => {
    const directory = mkdtempSync(join(tmpdir(), "larder-settings-"));
    writeFileSync(join(directory, "larder.config.json"), '{ "port": null, "upstreamRetries": "", "host": "::1" }');
    expect(() => readSettings({}, directory)).toThrow(/port is empty: give it a value or leave it out\n.*upstreamRetries is empty/);
    rmSync(directory, { recursive: true });
  });

  it("refuses secrets in quotes, which --env-file hands on, without repeating them", () => {
    const quoted = { OPENAI_API_KEY: '"sk-canary"', LARDER_METRICS_TOKEN: "'token-canary'", LARDER_ADMIN_TOKEN: "it's-\"one'with-quotes" };
    expect(read(quoted)).toMatch(/OPENAI_API_KEY must not stand in quotes.*\n.*LARDER_METRICS_TOKEN must not stand in quotes/);
    expect(read(quoted)).not.toMatch(/canary|ADMIN_TOKEN/);
  });

  it("takes the file's settings where the environment says nothing, and names its unknown fields", () => {
    const directory = mkdtempSync(join(tmpdir(), "larder-settings-"));
    const write = (settings: unknown): void => writeFileSync(join(directory, "larder.config.json"), JSON.stringify(settings));
    write({ port: 9000, cacheTtl: "5m", aliases: { fast: "openai/gpt-4o-mini" } });
    expect(readSettings({ PORT: "9001" }, directory)).toMatchObject({
      port: 9001,
      cacheTtl: 300_000,
      aliases: { fast: "openai/gpt-4o-mini" },
    });
    write({ routes: [{ model: "x", tragets: [] }] });
    expect(() => readSettings({}, directory)).toThrow(/routes\.0 has unknown settings: tragets/);
    rmSync(directory, { recursive: true });
  });

  it.each([
    [{ normalizers: { systemPatterns: ["Today is .*", "(canary"] } }, "normalizers.systemPatterns.1 must be a regular expression"],
    [{ routes: [{ model: "x", normalizers: { systemPatterns: ["[canary"] } }] }, "routes.0.normalizers.systemPatterns.0"],
    [
      { providers: { p: { baseUrl: "https://p.test/v1", apiKeyEnv: "NOT_SET_ANYWHERE" } } },
      "providers.p.apiKeyEnv names the variable NOT_SET",
    ],
  ])("refuses at the start what would fail at each request: %j", (settings, problem) => {
    expect(() => createSettings(settings)).toThrow(problem);
    expect(() => createSettings(settings)).not.toThrow("canary");
  });

  it("reads a provider's key from the variable that the file names", () => {
    const directory = mkdtempSync(join(tmpdir(), "larder-settings-"));
    const file = { providers: { p: { baseUrl: "https://p.test/v1", apiKeyEnv: "KEY_OF_P" } } };
    writeFileSync(join(directory, "larder.config.json"), JSON.stringify(file));
    expect(readSettings({ KEY_OF_P: "sk-of-p" }, directory).providers.p?.apiKey).toBe("sk-of-p");
    for (const environment of [{}, { KEY_OF_P: " " }, { KEY_OF_P: "two words" }])
      expect(() => readSettings(environment, directory)).toThrow("KEY_OF_P");
    rmSync(directory, { recursive: true });
  });

  it("has a JSON schema with every field, and a variable for each that is named", () => {
    const { properties } = settingsJsonSchema() as { properties: Record<string, unknown> };
    expect(Object.keys(properties).length).toBeGreaterThan(35);
    expect(settingVariables).toContain("LARDER_SYNC_SOURCES");
  });
});
