/** An item of a response, and the events between its announcement and its end when OpenAI tells it live. */
export interface ItemKind {
  readonly item: Readonly<Record<string, unknown>> & { readonly type: string };
  /** The item as it is announced. */
  readonly added: Readonly<Record<string, unknown>>;
  /** In between: a type without its `response.` and fields beside the item's place. */
  readonly events: ReadonlyArray<readonly [type: string, fields?: Readonly<Record<string, unknown>>]>;
}

const begun = { status: "in_progress" };
const done = { status: "completed" };
const token = (text: string): Record<string, unknown> => ({ token: text, logprob: -0.25, top_logprobs: [{ token: text, logprob: -0.25 }] });
const heard = (text: string): Record<string, unknown> => ({
  ...token(text),
  bytes: [1],
  top_logprobs: [{ ...token(text), bytes: [1], top_logprobs: undefined }],
});
const citation = { type: "url_citation", start_index: 0, end_index: 2, title: "t", url: "https://example.org/" };
const caller = { type: "direct" };

const message = { id: "msg_1", type: "message", role: "assistant" };
const text = { type: "output_text", text: "It is cold.", annotations: [citation], logprobs: [heard("It is"), heard(" cold.")] };
const plain = { type: "output_text", text: "Nothing more.", annotations: [], logprobs: [] };
const refusal = { type: "refusal", refusal: "That I will not say." };
const reasoning = { id: "rs_1", type: "reasoning", encrypted_content: "sealed" };
const summaries = [
  { type: "summary_text", text: "why it is so" },
  { type: "summary_text", text: "and how" },
];
const thought = { type: "reasoning_text", text: "step by step" };
const functionCall = { id: "fc_1", type: "function_call", call_id: "call_1", name: "weather" };
const customCall = { id: "ctc_1", type: "custom_tool_call", call_id: "call_2", name: "notes" };
const mcpCall = { id: "mcp_1", type: "mcp_call", name: "look_up", server_label: "library" };
const mcpList = { id: "mcpl_1", type: "mcp_list_tools", server_label: "library" };
const code = { id: "ci_1", type: "code_interpreter_call", container_id: "cntr_1" };
const search = { id: "ws_1", type: "web_search_call", action: { type: "search", query: "weather" } };
const fileSearch = { id: "fs_1", type: "file_search_call" };
const image = { id: "ig_1", type: "image_generation_call" };
const patch = { id: "apc_1", type: "apply_patch_call", call_id: "call_3" };

/** An item that is only announced and ended. */
const whole = (item: ItemKind["item"]): ItemKind => ({
  item,
  added: "status" in item && !item.type.endsWith("_output") ? { ...item, ...begun } : item,
  events: [],
});

/** Every kind of item, by the events that the API's reference gives for it. */
export const ITEM_KINDS: readonly ItemKind[] = [
  {
    item: { ...message, ...done, content: [text, plain, refusal] },
    added: { ...message, ...begun, content: [] },
    events: [
      ["content_part.added", { content_index: 0, part: { ...text, text: "", annotations: [], logprobs: [] } }],
      ["output_text.delta", { content_index: 0, delta: "It is", logprobs: [token("It is")] }],
      ["output_text.delta", { content_index: 0, delta: " cold.", logprobs: [token(" cold.")] }],
      ["output_text.annotation.added", { content_index: 0, annotation_index: 0, annotation: citation }],
      ["output_text.done", { content_index: 0, text: text.text, logprobs: [token("It is"), token(" cold.")] }],
      ["content_part.done", { content_index: 0, part: text }],
      ["content_part.added", { content_index: 1, part: { ...plain, text: "" } }],
      ["output_text.delta", { content_index: 1, delta: "Nothing ", logprobs: [] }],
      ["output_text.delta", { content_index: 1, delta: "more.", logprobs: [] }],
      ["output_text.done", { content_index: 1, text: plain.text, logprobs: [] }],
      ["content_part.done", { content_index: 1, part: plain }],
      ["content_part.added", { content_index: 2, part: { ...refusal, refusal: "" } }],
      ["refusal.delta", { content_index: 2, delta: refusal.refusal }],
      ["refusal.done", { content_index: 2, refusal: refusal.refusal }],
      ["content_part.done", { content_index: 2, part: refusal }],
    ],
  },
  {
    item: { ...reasoning, ...done, summary: summaries, content: [thought] },
    added: { ...reasoning, ...begun, summary: [], content: [] },
    events: [
      ...summaries.flatMap((part, index) => [
        ["reasoning_summary_part.added", { summary_index: index, part: { ...part, text: "" } }] as const,
        ["reasoning_summary_text.delta", { summary_index: index, delta: part.text }] as const,
        ["reasoning_summary_text.done", { summary_index: index, text: part.text }] as const,
        ["reasoning_summary_part.done", { summary_index: index, part }] as const,
      ]),
      ["content_part.added", { content_index: 0, part: { ...thought, text: "" } }],
      ["reasoning_text.delta", { content_index: 0, delta: thought.text }],
      ["reasoning_text.done", { content_index: 0, text: thought.text }],
      ["content_part.done", { content_index: 0, part: thought }],
    ],
  },
  {
    item: { ...functionCall, ...done, arguments: '{"city":"Oslo"}' },
    added: { ...functionCall, ...begun, arguments: "" },
    events: [
      ["function_call_arguments.delta", { delta: '{"city":' }],
      ["function_call_arguments.delta", { delta: '"Oslo"}' }],
      ["function_call_arguments.done", { name: "weather", arguments: '{"city":"Oslo"}' }],
    ],
  },
  {
    item: { ...customCall, ...done, input: "ls -la" },
    added: { ...customCall, ...begun, input: "" },
    events: [
      ["custom_tool_call_input.delta", { delta: "ls -la" }],
      ["custom_tool_call_input.done", { input: "ls -la" }],
    ],
  },
  {
    item: { ...mcpCall, ...done, arguments: '{"q":1}', output: "found", error: null },
    added: { ...mcpCall, ...begun, arguments: "", output: null, error: null },
    events: [
      ["mcp_call.in_progress"],
      ["mcp_call_arguments.delta", { delta: '{"q":1}' }],
      ["mcp_call_arguments.done", { arguments: '{"q":1}' }],
      ["mcp_call.completed"],
    ],
  },
  {
    item: { ...mcpCall, id: "mcp_2", status: "failed", arguments: "{}", output: null, error: "the server is down" },
    added: { ...mcpCall, id: "mcp_2", ...begun, arguments: "", output: null, error: null },
    events: [
      ["mcp_call.in_progress"],
      ["mcp_call_arguments.delta", { delta: "{}" }],
      ["mcp_call_arguments.done", { arguments: "{}" }],
      ["mcp_call.failed"],
    ],
  },
  {
    item: { ...mcpList, tools: [{ name: "look_up", input_schema: { type: "object" }, description: "looks up" }] },
    added: { ...mcpList, tools: [] },
    events: [["mcp_list_tools.in_progress"], ["mcp_list_tools.completed"]],
  },
  {
    item: { ...code, ...done, code: 'print("a\\nb")', outputs: [{ type: "logs", logs: "a" }] },
    added: { ...code, ...begun, code: "", outputs: null },
    events: [
      ["code_interpreter_call.in_progress"],
      ["code_interpreter_call_code.delta", { delta: 'print("a' }],
      ["code_interpreter_call_code.delta", { delta: '\\nb")' }],
      ["code_interpreter_call_code.done", { code: 'print("a\\nb")' }],
      ["code_interpreter_call.interpreting"],
      ["code_interpreter_call.completed"],
    ],
  },
  {
    item: { ...search, ...done },
    added: { ...search, ...begun },
    events: [["web_search_call.in_progress"], ["web_search_call.searching"], ["web_search_call.completed"]],
  },
  {
    item: { ...fileSearch, ...done, queries: ["a"], results: null },
    added: { ...fileSearch, ...begun, queries: [], results: null },
    events: [["file_search_call.in_progress"], ["file_search_call.searching"], ["file_search_call.completed"]],
  },
  {
    item: { ...image, ...done, result: "aW1hZ2U=" },
    added: { ...image, ...begun, result: null },
    events: [["image_generation_call.in_progress"], ["image_generation_call.generating"], ["image_generation_call.completed"]],
  },
  {
    item: { ...patch, ...done, operation: { type: "update_file", path: "a.txt", diff: "@@\n-a\n+b" } },
    added: { ...patch, ...begun, operation: { type: "update_file", path: "a.txt", diff: "" } },
    events: [],
  },
  whole({ ...patch, id: "apc_2", type: "apply_patch_call", ...done, operation: { type: "delete_file", path: "a.txt" } }),
  whole({ id: "apco_1", type: "apply_patch_call_output", call_id: "call_3", ...done, output: "done" }),
  whole({ id: "fco_1", type: "function_call_output", call_id: "call_1", ...done, output: "cold" }),
  whole({ id: "ctco_1", type: "custom_tool_call_output", call_id: "call_2", ...done, output: "noted" }),
  whole({ id: "cu_1", type: "computer_call", call_id: "call_4", ...done, pending_safety_checks: [], action: { type: "screenshot" } }),
  whole({ id: "cuo_1", type: "computer_call_output", call_id: "call_4", ...done, output: { type: "computer_screenshot", image_url: "x" } }),
  whole({ id: "pg_1", type: "program", call_id: "call_5", code: "1", fingerprint: "f" }),
  whole({ id: "pgo_1", type: "program_output", call_id: "call_5", result: "1", ...done }),
  whole({ id: "ts_1", type: "tool_search_call", call_id: null, execution: "server", arguments: { q: "a" }, ...done }),
  whole({ id: "tso_1", type: "tool_search_output", call_id: null, execution: "server", tools: [], ...done }),
  whole({ id: "at_1", type: "additional_tools", role: "developer", tools: [] }),
  whole({ id: "cmp_1", type: "compaction", encrypted_content: "sealed" }),
  whole({ id: "ls_1", type: "local_shell_call", call_id: "call_6", ...done, action: { type: "exec", command: ["ls"], env: {} } }),
  whole({ id: "lso_1", type: "local_shell_call_output", ...done, output: "a" }),
  whole({
    id: "sh_1",
    type: "shell_call",
    call_id: "call_7",
    ...done,
    action: { commands: ["ls"], timeout_ms: null, max_output_length: null },
    environment: null,
    caller,
  }),
  whole({
    id: "sho_1",
    type: "shell_call_output",
    call_id: "call_7",
    ...done,
    max_output_length: null,
    output: [{ stdout: "a", stderr: "", outcome: { type: "exit", exit_code: 0 } }],
    caller,
  }),
  whole({ id: "mcpr_1", type: "mcp_approval_request", name: "look_up", server_label: "library", arguments: "{}" }),
  whole({ id: "mcpa_1", type: "mcp_approval_response", approval_request_id: "mcpr_1", approve: true }),
];

/** A response with one item. */
export function responseWith(item: ItemKind["item"]): Record<string, unknown> {
  const usage = { input_tokens: 1, output_tokens: 2, total_tokens: 3 };
  const head = { id: "resp_1", object: "response", created_at: 1_700_000_000, status: "completed", error: null, incomplete_details: null };
  return { ...head, model: "m", output: [item], parallel_tool_calls: true, tool_choice: "auto", tools: [], usage };
}

/** The response as OpenAI tells it live. */
export function liveEventsOf({ item, added, events }: ItemKind): string {
  const response = responseWith(item);
  const first = { ...response, status: "in_progress", output: [], usage: null };
  const place = { item_id: item.id, output_index: 0 };
  const all: Array<readonly [string, Record<string, unknown>]> = [
    ["response.created", { response: first }],
    ["response.in_progress", { response: first }],
    ["response.output_item.added", { output_index: 0, item: added }],
    ...events.map(([type, fields]) => [`response.${type}`, { ...place, ...fields }] as const),
    ["response.output_item.done", { output_index: 0, item }],
    ["response.completed", { response }],
  ];
  return all
    .map(([type, fields], index) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: index, ...fields })}\n\n`)
    .join("");
}
