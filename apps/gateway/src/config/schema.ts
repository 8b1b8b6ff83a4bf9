import { z } from "zod";
import { isTrustEntry } from "../security/proxy-trust.ts";
import { ENDS_IN_ENDPOINT, endsInEndpoint } from "../upstream/ends-in-endpoint.ts";
import { readBytes, readDurationMs } from "./units.ts";

/** A hundred years: what is longer was meant otherwise, and Redis refuses times to live that its clock cannot count. */
const LONGEST_DURATION_MS = 36_500 * 86_400_000;
const durationMs = z
  .string()
  .meta({ description: "A duration with its unit: 250ms, 30s, 10m, 1h, 7d." })
  .transform((text, context) => {
    const value = readDurationMs(text);
    if (value === undefined) context.addIssue({ code: "custom", message: "must be a duration with a unit, such as 30s, 10m or 1h" });
    else if (value > LONGEST_DURATION_MS) context.addIssue({ code: "custom", message: "must be at most 36500d" });
    return value ?? 0;
  });
/** Milliseconds that a timer can wait at most; beyond, Node takes it for none. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A duration that is waited for. */
const waitMs = durationMs.refine((value) => value <= LONGEST_TIMER_MS, { message: "must be at most 24d" });
/** A window may be switched off with `0s`; a time to live may not. */
const windowMs = z.union([z.literal(["0", "0s", "0ms"]).transform(() => 0), durationMs], {
  error: "must be a duration with a unit, such as 30s, 10m or 1h, or 0s",
});
const bytes = z.union([z.number().int().positive(), z.string()]).transform((value, context) => {
  const read = typeof value === "number" ? value : readBytes(value);
  if (read === undefined) context.addIssue({ code: "custom", message: "must be a size such as 512kb, 256mb or a number of bytes" });
  return read ?? 0;
});
/** A whole number; in the environment, decimal digits. Not coerced: that takes `true` and `[1]` for 1, null for 0 and `0x50` for 80. */
function wholeNumber(min: number, max: number): z.ZodType<number, number | string> {
  const digits = z.string().regex(/^\s*\d{1,15}\s*$/);
  const number = z.number().int().min(min).max(max);
  return z.union([number, digits.transform(Number).pipe(number)], { error: `must be a whole number from ${min} to ${max}` });
}
const fraction = z.number().min(0).max(1);
const decimal = z.string().regex(/^\s*\d*\.?\d+\s*$/);
/** A number from 0 to 1, in the environment as people write it. */
const share = z.union([fraction, decimal.transform(Number).pipe(fraction)], { error: "must be a number from 0 to 1" });
/** Paths are put behind it: what is behind them, such as a query, would stand in their middle. */
const httpUrl = z
  .string()
  .refine(
    (text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      return url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" && !/[?#]/.test(text);
    },
    { message: "must be an http or https URL without a user name, password, query or fragment" },
  )
  .refine((text) => !endsInEndpoint(text), { message: ENDS_IN_ENDPOINT });
/** What a header can carry: visible ASCII. Anything else would be refused, and quoted, by the HTTP client. */
export const secret: z.ZodString = z
  .string()
  .regex(/^[\x21-\x7e]+$/, { message: "must be one line of visible ASCII characters without spaces" })
  // `docker run --env-file` hands quotes on, which a shell takes away.
  .regex(/^(?!(["']).*\1$)/, { message: "must not stand in quotes: they would be part of it" })
  .max(4096);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  message: "must be 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
});
const headers = z.record(
  z.string().regex(/^[A-Za-z0-9-]+$/, { message: "must be a header's name: letters, digits and dashes" }),
  z.string().regex(/^[\x20-\x7e]*$/, { message: "must be one line of visible ASCII characters" }),
);

function isOrigin(text: string): boolean {
  return text === "*" || (/^https?:[^*]+$/i.test(text) && URL.canParse(text) && new URL(text).origin === text.toLowerCase());
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, "g");
    return true;
  } catch {
    return false;
  }
}

const normalizers = z
  .object({
    toolCallIds: z.boolean().default(false).meta({ description: "Generated tool-call ids become their order of appearance." }),
    trailingWhitespace: z.boolean().default(false).meta({ description: "White space at the end of a message's text is ignored." }),
    systemPatterns: z
      .array(z.string().max(500).refine(isPattern, { message: "must be a regular expression" }))
      .max(20)
      .default([])
      .meta({ description: "Regular expressions whose matches in the system prompt are ignored, such as a date." }),
  })
  .strict();

const target = z
  .object({
    provider: name,
    model: z.string().min(1).max(256).optional().meta({
      description:
        "The upstream's name of the model; default: the one asked for, without the provider's own name before it (`provider/model`).",
    }),
    weight: z.number().positive().max(1_000_000).default(1),
  })
  .strict();

const route = z
  .object({
    model: z.string().min(1).max(256).meta({ description: "A model name as clients ask for it; * matches any run of characters." }),
    targets: z
      .array(target)
      .max(20)
      .default([])
      .meta({ description: "One of them is chosen by weight; none: where the name leads by itself." }),
    fallbacks: z.array(target).max(20).default([]).meta({ description: "Tried in order when the chosen target fails." }),
    ttl: durationMs.optional(),
    staleWhileRevalidate: windowMs.optional(),
    staleIfError: windowMs.optional(),
    cache: z.enum(["on", "off", "read-only", "write-only"]).optional(),
    normalizers: normalizers.optional(),
  })
  .strict();

const provider = z
  .object({
    baseUrl: httpUrl,
    apiKey: secret.optional(),
    apiKeyEnv: z
      .string()
      .regex(/^[A-Z_][A-Z0-9_]*$/, { message: "must be a variable's name: capital letters, digits and underscores" })
      .optional()
      .meta({ description: "Name of an environment variable that holds the key." }),
    kind: z.enum(["openai", "anthropic"]).default("openai"),
    models: z.array(z.string().min(1).max(256)).max(10_000).default([]),
    passthrough: z.enum(["callers-key", "own-key"]).optional().meta({
      description: "What it is called with where callers bring their own keys (LARDER_AUTH=passthrough); default: not called for them.",
    }),
    headers: headers.default({}),
    timeout: waitMs.optional(),
  })
  .strict();

const positive = z.number().int().positive();
/** Limits of whoever is counted: a key, or an address. */
export const limitsSchema = z
  .object({
    requestsPerMinute: positive.optional().meta({
      description: "In the last sixty seconds: of all machines together where there is Redis, else of each by itself.",
    }),
    tokensPerMinute: positive.optional().meta({ description: "Counted as requests are; charged by what providers tell." }),
    concurrency: positive.optional().meta({
      description: "Requests at a time, of each machine by itself, be there Redis or not: several machines let as many times more through.",
    }),
  })
  .strict();

/** Every setting of the gateway: the shape of `larder.config.json`, which the environment overrides. */
export const settingsSchema = z
  .object({
    $schema: z.string().optional(),
    host: z.string().min(1).default("127.0.0.1"),
    port: wholeNumber(0, 65_535).default(8787),
    openaiBaseUrl: httpUrl.optional(),
    openaiApiKey: secret.optional(),
    anthropicBaseUrl: httpUrl.optional(),
    anthropicApiKey: secret.optional(),
    auth: z.enum(["keys", "passthrough", "none"]).optional(),
    redisUrl: z.string().min(1).optional(),
    databaseUrl: z
      .string()
      .regex(/^(file:.+|postgres(ql)?:\/\/.+)$/, { message: "must be file:PATH or postgres://host/database" })
      .default("file:.larder/gateway.db"),
    adminToken: secret.min(16, { message: "must have at least 16 characters" }).optional(),
    masterKey: z.string().optional(),
    previousMasterKeys: z.array(z.string()).max(10).default([]).meta({
      description: "Master keys that open what they have sealed and seal nothing any more: for rotation.",
    }),
    cacheTtl: durationMs.default(3_600_000),
    cacheMaxBytes: bytes.default(268_435_456),
    cacheMaxEntries: wholeNumber(1, 1_000_000_000).default(10_000),
    cacheMode: z.enum(["on", "off", "read-only", "write-only"]).default("on"),
    providerConfigTtlMs: wholeNumber(1, LONGEST_DURATION_MS).default(60_000),
    allowedPrivateHosts: z
      .array(
        z.string().regex(/^(\[[0-9a-f:.]+\]|[\w.-]+)(:\d{1,5})?$/i, {
          message: "must hold hosts as host or host:port, without scheme, path, range or wildcard",
        }),
      )
      .default([]),
    syncInterval: waitMs.default(600_000),
    syncSources: z.array(z.string().min(1)).optional().meta({
      description:
        "Names of sources, each with an address of its own where wanted (name=URL); a key stands in LARDER_SYNC_KEY_<NAME>; none switches sync off.",
    }),
    metricsToken: secret.optional(),
    maxBody: bytes.default(20_971_520),
    bodyTimeout: waitMs.default(30_000).meta({ description: "In which time a request body must have come; slower ones are 408." }),
    openPaths: z
      .array(z.string().regex(/^(all|\/v1\/[\x21-\x7e]+)$/, { message: "must hold paths below /v1/, or all" }))
      .max(100)
      .default([])
      .meta({
        description:
          "Paths that are passed on for tenants though the provider keeps something there for all of them together; * matches any run of characters.",
      }),
    trustProxy: z
      .array(z.string().refine(isTrustEntry, { message: "must hold IP addresses or CIDR ranges, such as 127.0.0.1 or 10.0.0.0/8" }))
      .default([])
      .meta({ description: "Proxies whose X-Forwarded-* and Forwarded headers count." }),
    allowedOrigins: z
      .array(z.string().refine(isOrigin, { message: "must hold origins such as https://app.example.com, without a path, or *" }))
      .max(100)
      .default([])
      .meta({ description: "Origins whose pages in browsers may use the API (CORS); * for all, where there are keys." }),
    addressLimits: limitsSchema
      .omit({ tokensPerMinute: true })
      .default({})
      .meta({ description: "Limits of each client address, whoever it says it is; IPv6 by its /64." }),
    redisPrefix: z
      .string()
      .regex(/^[^{}\s]+$/, { message: "must not be empty nor contain braces or spaces" })
      .default("larder"),
    workers: z
      .union([z.literal("auto"), wholeNumber(1, 256)], { error: "must be auto or a whole number from 1 to 256" })
      .default(1)
      .meta({
        description:
          "Processes on this machine; auto: one a core. Each has a cache of its own, coherent with the others; limits hold for all of them together.",
      }),
    coherenceSampleRate: share.default(0).meta({
      description:
        "Share of invalidations by key about which the other processes are asked whether they still hold something old; 0 asks about none.",
    }),
    logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
    drainGrace: windowMs
      .refine((value) => value <= LONGEST_TIMER_MS, { message: "must be at most 24d" })
      .default(1_000)
      .meta({
        description: "How long it goes on taking requests after SIGTERM, told as not ready, so that a load balancer stops sending them.",
      }),
    drain: waitMs.default(30_000).meta({ description: "How long answers in flight may take to end after SIGTERM." }),
    staleWhileRevalidate: windowMs.default(0),
    staleIfError: windowMs.default(0),
    usageOnHit: z.enum(["original", "zero", "headers"]).default("original"),
    deterministicOnly: z.boolean().default(false).meta({
      description: "Cache only requests with temperature 0 or a seed, unless the client asks for the cache by header.",
    }),
    upstreamTimeout: waitMs.default(600_000),
    upstreamRetries: wholeNumber(0, 10).default(2),
    upstreamConnections: wholeNumber(1, 10_000).default(1_024).meta({
      description: "Connections to one provider at most; a call that finds none free waits for half a minute.",
    }),
    providers: z.record(name, provider).default({}),
    aliases: z.record(z.string().min(1).max(256), z.string().min(1).max(256)).default({}),
    routes: z.array(route).max(1000).default([]),
    keyLimits: limitsSchema.default({}).meta({ description: "Limits of virtual keys, each where a key has none of its own." }),
    normalizers: normalizers.optional(),
  })
  .strict();

/** Settings as the gateway uses them: durations in milliseconds, sizes in bytes. */
export type Settings = z.output<typeof settingsSchema>;
/** One entry of `routes`. */
export type RouteSettings = Settings["routes"][number];
/** Limits of a key; an absent one does not limit. */
export type KeyLimits = Settings["keyLimits"];
/** Which normalizers a route asks for. */
export type NormalizerSettings = NonNullable<Settings["normalizers"]>;
/** How the cache takes part in a request. */
export type CacheMode = Settings["cacheMode"];
