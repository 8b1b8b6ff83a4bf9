/** An answer of a chat endpoint whose JSON is about `bytes` long: what gateways cache. */
export function chatAnswer(bytes: number, id: string = "chatcmpl-0"): Record<string, unknown> {
  const words = "the quick brown fox jumps over the lazy dog while larder keeps its answers ";
  const content = words.repeat(Math.ceil(bytes / words.length)).slice(0, Math.max(0, bytes - 260));
  return {
    id,
    object: "chat.completion",
    created: 1_700_000_000,
    model: "gpt-4o-mini",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop", logprobs: null }],
    usage: { prompt_tokens: 21, completion_tokens: 180, total_tokens: 201 },
  };
}
