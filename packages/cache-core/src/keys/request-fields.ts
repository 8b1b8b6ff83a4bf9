/*
 * Every request field that larder knows, by endpoint. Sources: OpenAI's OpenAPI document 2.3.0 and the types of its client 7.57 for chat
 * completions, completions, embeddings, images and responses; Anthropic's Messages API, version 2023-06-01 with its betas, and the types of
 * its client 1.12.
 * A name added here is a type error in field-roles.ts until somebody has decided what it means for the key.
 */

/** Fields of `POST /v1/chat/completions`. */
export type ChatField =
  | "audio"
  | "frequency_penalty"
  | "function_call"
  | "functions"
  | "logit_bias"
  | "logprobs"
  | "max_completion_tokens"
  | "max_tokens"
  | "messages"
  | "metadata"
  | "modalities"
  | "model"
  | "moderation"
  | "n"
  | "parallel_tool_calls"
  | "prediction"
  | "presence_penalty"
  | "prompt_cache_key"
  | "prompt_cache_options"
  | "prompt_cache_retention"
  | "reasoning_effort"
  | "response_format"
  | "safety_identifier"
  | "seed"
  | "service_tier"
  | "stop"
  | "store"
  | "stream"
  | "stream_options"
  | "temperature"
  | "tool_choice"
  | "tools"
  | "top_logprobs"
  | "top_p"
  | "user"
  | "verbosity"
  | "web_search_options";

/** Fields of `POST /v1/completions`. */
export type CompletionField =
  | "best_of"
  | "echo"
  | "frequency_penalty"
  | "logit_bias"
  | "logprobs"
  | "max_tokens"
  | "model"
  | "n"
  | "presence_penalty"
  | "prompt"
  | "seed"
  | "stop"
  | "stream"
  | "stream_options"
  | "suffix"
  | "temperature"
  | "top_p"
  | "user";

/** Fields of `POST /v1/embeddings`. */
export type EmbeddingField = "dimensions" | "encoding_format" | "input" | "model" | "user";

/** Fields of `POST /v1/images/generations`. */
export type ImageField =
  | "background"
  | "complexity"
  | "frame_count"
  | "frame_duration_ms"
  | "input_fidelity"
  | "model"
  | "moderation"
  | "n"
  | "output_compression"
  | "output_format"
  | "partial_images"
  | "prompt"
  | "quality"
  | "response_format"
  | "safety_identifier"
  | "size"
  | "stream"
  | "style"
  | "svg"
  | "user";

/** Fields of `POST /v1/responses`. */
export type ResponsesField =
  | "access_programs"
  | "background"
  | "context_management"
  | "conversation"
  | "image"
  | "include"
  | "input"
  | "instructions"
  | "max_output_tokens"
  | "max_tool_calls"
  | "metadata"
  | "model"
  | "moderation"
  | "parallel_tool_calls"
  | "previous_response_id"
  | "prompt"
  | "prompt_cache_key"
  | "prompt_cache_options"
  | "prompt_cache_retention"
  | "reasoning"
  | "safety_identifier"
  | "service_tier"
  | "store"
  | "stream"
  | "stream_options"
  | "temperature"
  | "text"
  | "tool_choice"
  | "tools"
  | "top_logprobs"
  | "top_p"
  | "truncation"
  | "user";

/** Fields of `POST /v1/messages`. */
export type MessagesField =
  | "billing_policy"
  | "cache_control"
  | "compaction"
  | "container"
  | "context_management"
  | "diagnostics"
  | "fallback_credit_token"
  | "fallbacks"
  | "inference_geo"
  | "max_tokens"
  | "mcp_servers"
  | "messages"
  | "metadata"
  | "model"
  | "output_config"
  | "output_format"
  | "service_tier"
  | "speed"
  | "stop_sequences"
  | "stream"
  | "system"
  | "temperature"
  | "thinking"
  | "thread"
  | "tool_choice"
  | "tools"
  | "top_k"
  | "top_p";

/** The known fields of each endpoint. */
export interface EndpointFields {
  /** `POST /v1/chat/completions` */
  readonly chat: ChatField;
  /** `POST /v1/completions` */
  readonly completion: CompletionField;
  /** `POST /v1/embeddings` */
  readonly embedding: EmbeddingField;
  /** `POST /v1/images/generations` */
  readonly image: ImageField;
  /** `POST /v1/responses` */
  readonly responses: ResponsesField;
  /** `POST /v1/messages` */
  readonly messages: MessagesField;
  /** A request of any shape: no field is known, so every field is part of the key. */
  readonly exact: never;
}

/** What kind of request a key stands for. The word leads the readable part of the key. */
export type Endpoint = keyof EndpointFields;
