import { type Endpoint, KeyScopes, type RequestSource, type Route, readRequest, requestKey } from "../../src/keys.ts";

/** A chat body with most of what such bodies have. */
export const chatBody = {
  model: "gpt-4o-mini",
  messages: [
    { role: "system", content: "Be brief." },
    { role: "user", content: "What is a larder?" },
  ],
  temperature: 0.7,
  top_p: 1,
  n: 1,
  stop: ["\n\n"],
  max_tokens: 200,
  max_completion_tokens: 200,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: { "50256": -100 },
  logprobs: true,
  top_logprobs: 2,
  seed: 7,
  tools: [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }],
  tool_choice: "auto",
  parallel_tool_calls: true,
  response_format: { type: "json_object" },
  reasoning_effort: "low",
  verbosity: "low",
  modalities: ["text"],
  audio: { voice: "alloy" },
  prediction: { type: "content", content: "A larder" },
  web_search_options: {},
  function_call: "auto",
  functions: [],
  moderation: {},
} as const;

/** The key of a body for one tenant and no headers. */
export function keyOf(body: RequestSource, endpoint: Endpoint = "chat", tenant = "acme", route?: Route): string {
  return requestKey(new KeyScopes().of({ endpoint, tenant }), readRequest(endpoint, body), route);
}

export const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8");
