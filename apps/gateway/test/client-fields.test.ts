import type Anthropic from "@anthropic-ai/sdk";
import type { ChatField, CompletionField, EmbeddingField, ImageField, MessagesField, ResponsesField } from "@larder/cache-core/keys";
import type OpenAI from "openai-7";
import { expectTypeOf, test } from "vitest";

type FieldsOf<Params> = Params extends unknown ? keyof Params : never;
/** Parameters that the client sends as headers. */
type HeaderParams = "betas" | "user_profile_id" | "workspace_id";

// A field that a provider's own client sends and that nobody has classified is in the key, which is safe; what it keeps at the provider, or
// who it names, is not known then. So a new release of a client that has one is a type error here.
test("the official clients send no field that is in no table", () => {
  expectTypeOf<Exclude<FieldsOf<OpenAI.ChatCompletionCreateParams>, ChatField>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<OpenAI.CompletionCreateParams>, CompletionField>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<OpenAI.EmbeddingCreateParams>, EmbeddingField>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<OpenAI.ImageGenerateParams>, ImageField>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<OpenAI.Responses.ResponseCreateParams>, ResponsesField>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<Anthropic.MessageCreateParams>, MessagesField | HeaderParams>>().toBeNever();
  expectTypeOf<Exclude<FieldsOf<Anthropic.Beta.MessageCreateParams>, MessagesField | HeaderParams>>().toBeNever();
});
