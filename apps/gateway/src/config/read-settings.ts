import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { describeIssue } from "./describe-issue.ts";
import { type Settings, secret, settingsSchema } from "./schema.ts";

/** A setting that the gateway cannot start with. Its message names the setting and the fix and never quotes a value. */
export class SettingsError extends Error {
  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.name = "SettingsError";
  }
}

/** Which environment variable sets which field. */
const VARIABLES: Readonly<Record<string, keyof Settings>> = {
  HOST: "host",
  PORT: "port",
  OPENAI_BASE_URL: "openaiBaseUrl",
  OPENAI_API_KEY: "openaiApiKey",
  ANTHROPIC_BASE_URL: "anthropicBaseUrl",
  ANTHROPIC_API_KEY: "anthropicApiKey",
  LARDER_AUTH: "auth",
  REDIS_URL: "redisUrl",
  DATABASE_URL: "databaseUrl",
  LARDER_ADMIN_TOKEN: "adminToken",
  LARDER_MASTER_KEY: "masterKey",
  LARDER_MASTER_KEY_PREVIOUS: "previousMasterKeys",
  LARDER_CACHE_TTL: "cacheTtl",
  LARDER_CACHE_MAX_BYTES: "cacheMaxBytes",
  LARDER_CACHE_MAX_ENTRIES: "cacheMaxEntries",
  LARDER_CACHE_MODE: "cacheMode",
  LARDER_PROVIDER_CONFIG_TTL_MS: "providerConfigTtlMs",
  LARDER_ALLOWED_PRIVATE_HOSTS: "allowedPrivateHosts",
  LARDER_SYNC_INTERVAL: "syncInterval",
  LARDER_SYNC_SOURCES: "syncSources",
  LARDER_METRICS_TOKEN: "metricsToken",
  LARDER_MAX_BODY: "maxBody",
  LARDER_BODY_TIMEOUT: "bodyTimeout",
  LARDER_TRUST_PROXY: "trustProxy",
  LARDER_OPEN_PATHS: "openPaths",
  LARDER_ALLOWED_ORIGINS: "allowedOrigins",
  LARDER_REDIS_PREFIX: "redisPrefix",
  LARDER_WORKERS: "workers",
  LARDER_COHERENCE_SAMPLE_RATE: "coherenceSampleRate",
  LARDER_LOG_LEVEL: "logLevel",
  LARDER_DRAIN: "drain",
  LARDER_DRAIN_GRACE: "drainGrace",
  LARDER_STALE_WHILE_REVALIDATE: "staleWhileRevalidate",
  LARDER_STALE_IF_ERROR: "staleIfError",
  LARDER_USAGE_ON_HIT: "usageOnHit",
  LARDER_UPSTREAM_TIMEOUT: "upstreamTimeout",
  LARDER_UPSTREAM_RETRIES: "upstreamRetries",
  LARDER_UPSTREAM_CONNECTIONS: "upstreamConnections",
};
/** Settings written as a comma list in the environment. */
const LISTS: ReadonlySet<string> = new Set([
  "allowedPrivateHosts",
  "previousMasterKeys",
  "syncSources",
  "trustProxy",
  "openPaths",
  "allowedOrigins",
]);
/** Secrets: set but empty is a mistake that must stop the start, not "unset". */
const SECRETS: ReadonlySet<string> = new Set([
  "LARDER_ADMIN_TOKEN",
  "LARDER_MASTER_KEY",
  "LARDER_MASTER_KEY_PREVIOUS",
  "LARDER_METRICS_TOKEN",
]);

/** Names of all environment variables that are settings, for `--help` and the documentation's check. */
export const settingVariables: readonly string[] = Object.keys(VARIABLES);

const splitList = (text: string): string[] =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");

function readEnvironment(environment: NodeJS.ProcessEnv, problems: string[]): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [variable, field] of Object.entries(VARIABLES)) {
    const text = environment[variable];
    if (text === undefined) continue;
    if (text.trim() === "") {
      if (SECRETS.has(variable)) problems.push(`${variable} is empty: give it a value or unset it`);
      continue;
    }
    read[field] = LISTS.has(field) ? splitList(text) : text.trim();
  }
  return read;
}

function readFile(path: string, isRequired: boolean): Record<string, unknown> {
  if (!existsSync(path)) {
    if (isRequired) throw new SettingsError([`LARDER_CONFIG points to a file that does not exist: ${path}`]);
    return {};
  }
  let parsed: unknown;
  try {
    // Some editors write a byte order mark.
    parsed = JSON.parse(readFileSync(path, "utf8").replace(/^\ufeff/, ""));
  } catch {
    // JSON.parse quotes the text around the mistake, which may be a key.
    throw new SettingsError([`${path} is not a file of valid JSON, in which there are no comments and no trailing commas`]);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw new SettingsError([`${path} must hold a JSON object`]);
  const file = parsed as Record<string, unknown>;
  // Templates leave such behind; some kinds of value would take them for a number: `"port": null` for any port that is free.
  const empty = Object.keys(file).filter((name) => file[name] === null || file[name] === "");
  if (empty.length > 0) throw new SettingsError(empty.map((name) => `${name.slice(0, 40)} is empty: give it a value or leave it out`));
  return file;
}

function nameOf(path: PropertyKey[], fromEnvironment: Record<string, unknown>): string {
  const field = String(path[0] ?? "");
  const variable = Object.keys(VARIABLES).find((candidate) => VARIABLES[candidate] === field);
  return variable && Object.hasOwn(fromEnvironment, field) ? variable : path.map(String).join(".") || "larder.config.json";
}

/**
 * Reads the settings from `larder.config.json` (or the file named by `LARDER_CONFIG`) and the environment, which wins.
 * @throws {SettingsError} naming every setting that is not usable
 */
export function readSettings(environment: NodeJS.ProcessEnv = process.env, directory: string = process.cwd()): Settings {
  const problems: string[] = [];
  const path = environment.LARDER_CONFIG?.trim() ?? "";
  const file = readFile(resolve(directory, path || "larder.config.json"), path !== "");
  const fromEnvironment = readEnvironment(environment, problems);
  const parsed = settingsSchema.safeParse({ ...file, ...fromEnvironment });
  if (!parsed.success)
    problems.push(...parsed.error.issues.map((issue) => `${nameOf(issue.path, fromEnvironment)} ${describeIssue(issue)}`));
  if (!parsed.success || problems.length > 0) throw new SettingsError(problems);
  return withProviderKeys(parsed.data, environment);
}

/** Puts in the keys that stand in variables of their own. A provider whose key was forgotten would start and refuse every request. */
function withProviderKeys(settings: Settings, environment: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];
  const providers = Object.entries(settings.providers).map(([id, provider]) => {
    const { apiKeyEnv } = provider;
    if (apiKeyEnv === undefined || provider.apiKey !== undefined) return [id, provider] as const;
    const parsed = secret.safeParse(environment[apiKeyEnv]?.trim());
    if (parsed.success) return [id, { ...provider, apiKey: parsed.data }] as const;
    problems.push(`providers.${id}.apiKeyEnv names the variable ${apiKeyEnv}, which must hold a key: one line of visible ASCII characters`);
    return [id, provider] as const;
  });
  if (problems.length > 0) throw new SettingsError(problems);
  return { ...settings, providers: Object.fromEntries(providers) };
}

/** Settings with every default, as a library or a test needs them. @throws {SettingsError} */
export function createSettings(partial: z.input<typeof settingsSchema> = {}): Settings {
  const parsed = settingsSchema.safeParse(partial);
  if (!parsed.success) throw new SettingsError(parsed.error.issues.map((issue) => `${nameOf(issue.path, {})} ${describeIssue(issue)}`));
  return withProviderKeys(parsed.data, process.env);
}

/** The JSON schema of `larder.config.json`, for editors. */
export function settingsJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(settingsSchema, { io: "input", unrepresentable: "any" }) as Record<string, unknown>;
}
