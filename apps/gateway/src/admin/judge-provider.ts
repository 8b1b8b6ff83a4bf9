import { z } from "zod";
import type { StoredProvider } from "../storage/gateway-store.ts";
import { ENDS_IN_ENDPOINT, endsInEndpoint } from "../upstream/ends-in-endpoint.ts";
import { storedSettingsSchema } from "../upstream/provider-directory.ts";
import { openSecrets, type ProviderSecrets } from "../upstream/provider-secrets.ts";
import type { AdminParts } from "./admin-parts.ts";

/** What stands for a header's value in answers. */
export const HIDDEN = "[redacted]";
/** Headers that carry credentials or frame the request: not to be set beside `apiKey`. */
const FORBIDDEN_HEADERS =
  /^(host|authorization|x-api-key|cookie|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding)|accept-encoding|proxy-.*)$/i;

/** A provider as it is sent to be saved. */
export const providerInputSchema = z
  .object({
    /** What a header can carry: visible ASCII. Its value is never quoted. */
    apiKey: z
      .string()
      .min(1)
      .max(4096)
      .regex(/^[\x21-\x7e]+$/, { message: "must be one line of visible ASCII characters without spaces" })
      .nullable()
      .optional(),
    baseUrl: z.string().min(1).max(2048),
    displayName: z
      .string()
      .max(200)
      .regex(/^[^\p{Cc}]*$/u, { message: "must have no control characters" })
      .default(""),
    kind: z.enum(["openai", "anthropic"]).default("openai"),
    models: z.array(z.string().min(1).max(256)).max(10_000).default([]),
    passthrough: z.enum(["callers-key", "own-key"]).optional(),
    headers: z
      .record(
        z.string().regex(/^[A-Za-z0-9-]{1,64}$/, { message: "must be a header's name: 1 to 64 letters, digits and dashes" }),
        z
          .string()
          .max(1024)
          .regex(/^[\x20-\x7e]*$/, { message: "must be one line of visible ASCII characters" }),
      )
      .optional(),
  })
  .strict();

type ProviderInput = z.output<typeof providerInputSchema>;

/** Why a provider is not saved, and the field that it is about. */
export interface Objection {
  readonly problem: string;
  readonly field: keyof ProviderInput;
}

/** A provider that may be saved. */
export interface JudgedProvider {
  readonly settings: Omit<ProviderInput, "apiKey" | "headers">;
  readonly secrets: ProviderSecrets;
}

/** Looks at what was sent, and adds what is kept of `known`: what is saved now under the same id. */
export async function judgeProvider(
  { guard, sealer }: AdminParts,
  input: ProviderInput,
  known: StoredProvider | undefined,
): Promise<JudgedProvider | Objection> {
  const { apiKey: _key, headers, ...settings } = input;
  const inHeaders = problemOfHeaders(headers ?? {});
  if (inHeaders) return { problem: inHeaders, field: "headers" };
  const url = input.baseUrl.trim();
  const inUrl = endsInEndpoint(url) ? ENDS_IN_ENDPOINT : await guard.check(url);
  if (inUrl) return { problem: `The field baseUrl ${inUrl}.`, field: "baseUrl" };
  const baseUrl = new URL(url).href.replace(/\/+$/, "");
  const secrets = withKeptSecrets(input, keptSecrets(sealer, known), known !== undefined && originOf(known) !== new URL(baseUrl).origin);
  return "problem" in secrets ? secrets : { settings: { ...settings, baseUrl }, secrets };
}

function problemOfHeaders(headers: Readonly<Record<string, string>>): string | undefined {
  if (Object.keys(headers).some((name) => FORBIDDEN_HEADERS.test(name)))
    return "The field headers must not set credentials or framing headers.";
  if (Object.values(headers).includes(HIDDEN))
    return "A header's value is hidden, not sent: leave the field headers out to keep them, or send their values.";
  return undefined;
}

/**
 * What is left out stays, but never moves to another host: whoever may edit addresses must not get at keys that way.
 * @param kept what was sealed before; `undefined` when it does not open
 */
function withKeptSecrets(
  { apiKey, headers }: ProviderInput,
  kept: ProviderSecrets | undefined,
  isMoved: boolean,
): ProviderSecrets | Objection {
  if (!kept && (apiKey === undefined || headers === undefined))
    return { problem: "What was sealed before does not open with this master key: send apiKey and headers.", field: "apiKey" };
  if (isMoved && apiKey === undefined && kept?.apiKey !== undefined)
    return { problem: "The baseUrl points to another host: send the apiKey for it too.", field: "apiKey" };
  if (isMoved && headers === undefined && Object.keys(kept?.headers ?? {}).length > 0)
    return { problem: "The baseUrl points to another host: send the headers for it too.", field: "headers" };
  return { apiKey: apiKey === undefined ? kept?.apiKey : (apiKey ?? undefined), headers: headers ?? kept?.headers ?? {} };
}

function keptSecrets(sealer: AdminParts["sealer"], known: StoredProvider | undefined): ProviderSecrets | undefined {
  if (!known) return { apiKey: undefined, headers: {} };
  try {
    const { apiKey, headers } = openSecrets(sealer, known.id, known.sealedKey);
    return { apiKey, headers: { ...storedSettingsSchema.parse(JSON.parse(known.settings)).headers, ...headers } };
  } catch {
    return undefined;
  }
}

/** `undefined` also where the settings cannot be read, as a later release may have left them: then nothing is kept, and a save sends all. */
function originOf({ settings }: StoredProvider): string | undefined {
  try {
    return new URL(storedSettingsSchema.parse(JSON.parse(settings)).baseUrl).origin;
  } catch {
    return undefined;
  }
}
