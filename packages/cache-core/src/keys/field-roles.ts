import { describeValue } from "../check-option.ts";
import { CacheError } from "../errors.ts";
import type { Endpoint, EndpointFields } from "./request-fields.ts";

/**
 * What a request field is to the key.
 * - `answer`: changes what comes back. In the key.
 * - `state`: ties the request to something kept upstream (a conversation, a container). In the key; such a request should not be cached
 *   unless the caller insists, since the same words may get another answer tomorrow.
 * - `retention`: whether the upstream keeps the answer, which it does unless told otherwise. In the key when `false`: what was not kept cannot
 *   be gone on from by its id. When `true`, a cached answer would not be kept there, and the request should not be cached either.
 * - `transport`: how the answer travels. Not in the key: one entry is rendered either way.
 * - `identity`: who asks. Not in the key: the tenant is.
 * - `noise`: billing, labels, hints for the provider's own caches. Not in the key.
 */
export type FieldRole = "answer" | "state" | "retention" | "transport" | "identity" | "noise";

/** The role of every known field of an endpoint. Leaving one out, or naming an unknown one, is a type error. */
export type FieldRoles<Name extends string> = Readonly<Record<Name, FieldRole>>;

/**
 * The deny list, written as a table of everything, so that a new field is a decision and not an oversight. A field that is in no table is
 * part of the key: a request we do not understand is at worst a miss, never somebody else's answer.
 */
export const fieldRoles: { readonly [Name in Endpoint]: FieldRoles<EndpointFields[Name]> } = {
  chat: {
    audio: "answer",
    frequency_penalty: "answer",
    function_call: "answer",
    functions: "answer",
    logit_bias: "answer",
    logprobs: "answer",
    max_completion_tokens: "answer",
    max_tokens: "answer",
    messages: "answer",
    metadata: "noise",
    modalities: "answer",
    model: "answer",
    moderation: "answer",
    n: "answer",
    parallel_tool_calls: "answer",
    prediction: "answer",
    presence_penalty: "answer",
    prompt_cache_key: "noise",
    prompt_cache_options: "noise",
    prompt_cache_retention: "noise",
    reasoning_effort: "answer",
    response_format: "answer",
    safety_identifier: "identity",
    seed: "answer",
    service_tier: "noise",
    stop: "answer",
    store: "noise",
    stream: "transport",
    stream_options: "transport",
    temperature: "answer",
    tool_choice: "answer",
    tools: "answer",
    top_logprobs: "answer",
    top_p: "answer",
    user: "identity",
    verbosity: "answer",
    web_search_options: "answer",
  },
  completion: {
    best_of: "answer",
    echo: "answer",
    frequency_penalty: "answer",
    logit_bias: "answer",
    logprobs: "answer",
    max_tokens: "answer",
    model: "answer",
    n: "answer",
    presence_penalty: "answer",
    prompt: "answer",
    seed: "answer",
    stop: "answer",
    stream: "transport",
    stream_options: "transport",
    suffix: "answer",
    temperature: "answer",
    top_p: "answer",
    user: "identity",
  },
  embedding: {
    dimensions: "answer",
    encoding_format: "transport", // Stored as numbers, rendered as asked.
    input: "answer",
    model: "answer",
    user: "identity",
  },
  image: {
    background: "answer",
    complexity: "answer",
    frame_count: "answer",
    frame_duration_ms: "answer",
    input_fidelity: "answer",
    model: "answer",
    moderation: "answer",
    n: "answer",
    output_compression: "answer",
    output_format: "answer",
    partial_images: "answer",
    prompt: "answer",
    quality: "answer",
    response_format: "answer", // A URL dies, base64 does not: neither can be made from the other.
    safety_identifier: "identity",
    size: "answer",
    stream: "transport",
    style: "answer",
    svg: "answer",
    user: "identity",
  },
  responses: {
    access_programs: "answer",
    background: "state",
    context_management: "answer",
    conversation: "state",
    image: "answer",
    include: "answer",
    input: "answer",
    instructions: "answer",
    max_output_tokens: "answer",
    max_tool_calls: "answer",
    metadata: "noise",
    model: "answer",
    moderation: "answer",
    parallel_tool_calls: "answer",
    previous_response_id: "state",
    prompt: "answer", // A reference to a stored template, with its version and variables.
    prompt_cache_key: "noise",
    prompt_cache_options: "noise",
    prompt_cache_retention: "noise",
    reasoning: "answer",
    safety_identifier: "identity",
    service_tier: "noise",
    store: "retention",
    stream: "transport",
    stream_options: "transport",
    temperature: "answer",
    text: "answer",
    tool_choice: "answer",
    tools: "answer",
    top_logprobs: "answer",
    top_p: "answer",
    truncation: "answer",
    user: "identity",
  },
  messages: {
    billing_policy: "noise",
    cache_control: "noise", // A hint for the provider's prompt cache.
    compaction: "answer",
    container: "state",
    context_management: "answer",
    diagnostics: "answer", // Has the answer tell something about an earlier one.
    fallback_credit_token: "answer", // Lets one request begin with what the answer goes on from.
    fallbacks: "answer",
    inference_geo: "noise",
    max_tokens: "answer",
    mcp_servers: "answer",
    messages: "answer",
    metadata: "identity", // Holds user_id alone.
    model: "answer",
    output_config: "answer",
    output_format: "answer",
    service_tier: "noise",
    speed: "noise",
    stop_sequences: "answer",
    stream: "transport",
    system: "answer",
    temperature: "answer",
    thinking: "answer",
    thread: "state", // The provider keeps the conversation, and goes on with it.
    tool_choice: "answer",
    tools: "answer",
    top_k: "answer",
    top_p: "answer",
  },
  exact: {},
};

/** The endpoints, for exhaustive handling. */
export const endpoints: readonly Endpoint[] = ["chat", "completion", "embedding", "image", "responses", "messages", "exact"];

/** Passes one of `endpoints`. @throws {CacheError} ERR_CACHE_INVALID_OPTION otherwise */
export function checkEndpoint(endpoint: Endpoint): Endpoint {
  if (!endpoints.includes(endpoint))
    throw new CacheError("ERR_CACHE_INVALID_OPTION", `endpoint must be one of ${endpoints.join(", ")}, got ${describeValue(endpoint)}`);
  return endpoint;
}

/** What the tables say about one field. */
export interface FieldPolicy {
  /** `undefined`: nobody classified it. */
  readonly role: FieldRole | undefined;
  /** Whatever its value is. */
  readonly isInKey: boolean;
}

const UNCLASSIFIED: FieldPolicy = { role: undefined, isInKey: true };

/** The tables as maps: a request may have a field called `constructor`, and a lookup costs less. */
const policies: ReadonlyMap<Endpoint, ReadonlyMap<string, FieldPolicy>> = new Map(
  endpoints.map((endpoint) => {
    const roles = Object.entries<FieldRole>(fieldRoles[endpoint]);
    return [endpoint, new Map(roles.map(([name, role]) => [name, { role, isInKey: role === "answer" || role === "state" }]))];
  }),
);

/** What a top-level field is to the key. A field that nobody classified is part of it. */
export function fieldPolicy(endpoint: Endpoint, field: string): FieldPolicy {
  return policies.get(endpoint)?.get(field) ?? UNCLASSIFIED;
}
