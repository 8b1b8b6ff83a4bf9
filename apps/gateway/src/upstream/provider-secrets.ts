import { z } from "zod";
import type { Sealer } from "../security/sealer.ts";
import { Secret } from "../security/secret.ts";
import type { Provider } from "./provider.ts";

/**
 * What of a saved provider is sealed at rest. Header values are, all of them: Azure's `api-key` is one, and nobody knows the names of all
 * others.
 */
export interface ProviderSecrets {
  readonly apiKey: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const sealedSchema = z.object({ apiKey: z.string().optional(), headers: z.record(z.string(), z.string()) });
/** Begins what is more than an API key; no key has such a character. */
const MARK = "\n";
/** Header names under which credentials go. */
const CREDENTIAL = /key|token|secret|auth|cookie|password|credential|signature/i;

/** What a provider's secrets are sealed for. */
export function slotOf(providerId: string): string {
  return `provider:${providerId}`;
}

/** The text to be sealed; `null` when there is nothing to seal. */
export function secretsToText({ apiKey, headers }: ProviderSecrets): string | null {
  return Object.keys(headers).length === 0 ? (apiKey ?? null) : `${MARK}${JSON.stringify({ apiKey, headers })}`;
}

/** Opens what was sealed of a provider. @throws {SealError} when it does not open */
export function openSecrets(sealer: Sealer, providerId: string, sealed: string | null): ProviderSecrets {
  if (sealed === null) return { apiKey: undefined, headers: {} };
  const text = sealer.open(sealed, slotOf(providerId));
  if (!text.startsWith(MARK)) return { apiKey: text, headers: {} };
  const { apiKey, headers } = sealedSchema.parse(JSON.parse(text));
  return { apiKey, headers };
}

/** The credentials that a call to a provider carries: what is struck out of its errors. */
export function credentialsOf(provider: Provider, callersKey: Secret | undefined): ReadonlyArray<Secret | undefined> {
  const credentials = [provider.apiKey, callersKey];
  for (const name in provider.headers) if (CREDENTIAL.test(name)) credentials.push(new Secret(provider.headers[name] as string));
  return credentials;
}
