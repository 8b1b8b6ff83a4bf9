import { type JsonObject, type Normalizer, objectsOf } from "./normalizer.ts";
import type { Endpoint } from "./request-fields.ts";

/** Which properties name a tool call or the answer to one. */
const ID_NAMES: Readonly<Partial<Record<Endpoint, readonly string[]>>> = {
  chat: ["id", "tool_call_id"],
  messages: ["id", "tool_use_id"],
  responses: ["call_id"],
};

/** The objects of a request that can carry ids of tool calls, with their paths, in the order of the text. */
function toolCallHolders(endpoint: Endpoint, body: JsonObject): Array<readonly [path: string, holder: JsonObject]> {
  const list = endpoint === "responses" ? "input" : "messages";
  const inner = endpoint === "messages" ? "content" : "tool_calls";
  return objectsOf(body[list]).flatMap(([index, message]) => {
    const path = `${list}[${index}]`;
    const parts = objectsOf(message[inner]).map(([part, holder]) => [`${path}.${inner}[${part}]`, holder] as const);
    return [[path, message] as const, ...parts];
  });
}

function mentionsOf(endpoint: Endpoint, body: JsonObject): Array<{ holder: JsonObject; name: string; path: string }> {
  const names = ID_NAMES[endpoint] ?? [];
  return toolCallHolders(endpoint, body).flatMap(([path, holder]) =>
    names.filter((name) => typeof holder[name] === "string").map((name) => ({ holder, name, path: `${path}.${name}` })),
  );
}

/**
 * Tool-call ids by order of appearance: `call_1`, `call_2`, … Providers make them up at random, so that an agent that goes the same way
 * twice never hits. All ids of a request are renamed, one to one, so two requests become one only when they differ by a renaming.
 */
export const renumberToolCalls: Normalizer = {
  name: "tool-call-ids",
  normalize(endpoint, body, report) {
    const numbers = new Map<string, string>();
    for (const { holder, name, path } of mentionsOf(endpoint, body)) {
      const id = holder[name] as string;
      if (!numbers.has(id)) numbers.set(id, `call_${numbers.size + 1}`);
      const renamed = numbers.get(id);
      if (renamed !== id) report(path);
      holder[name] = renamed;
    }
  },
};
