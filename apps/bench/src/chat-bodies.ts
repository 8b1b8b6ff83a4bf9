import { createSeededRandom } from "./seeded-random.ts";

/** What the text of a conversation is like: it decides what reading its JSON costs. */
export type TextKind = "prose" | "agent";

const WORDS: Readonly<Record<TextKind, readonly string[]>> = {
  prose: "the model answers a question about how caches behave when the server is away and nobody notices until the budget is gone".split(
    " ",
  ),
  // Code, quotes and line ends are escaped in JSON; the dash and the accents make the bytes more than ASCII.
  agent: [
    ..."the tool returned a list of files \u2014 see r\u00e9sum\u00e9.txt and then".split(" "),
    '{"path": "src/index.ts"}',
    "\n\n",
    '"quoted"',
    "const a = `b`;\n",
  ],
};

const tool = (index: number): Record<string, unknown> => ({
  type: "function",
  function: {
    name: `look_up_${index}`,
    description: "Looks something up in a place, and says what it found there.",
    parameters: {
      type: "object",
      properties: {
        place: { type: "string", description: "The place" },
        unit: { type: "string", enum: ["c", "f"] },
        days: { type: "integer", minimum: 1 },
      },
      required: ["place"],
      additionalProperties: false,
    },
  },
});

/** One chat request of about `bytes` bytes, as a client writes it: no white space between tokens, names in the client's order. */
export function chatBody(bytes: number, kind: TextKind, seed: number): Buffer {
  const random = createSeededRandom(seed);
  const words = WORDS[kind];
  const textOf = (length: number): string => {
    let text = "";
    while (text.length < length) text += `${words[Math.floor(random() * words.length)]} `;
    return text;
  };
  const messages = [{ role: "system", content: textOf(Math.min(600, bytes / 4)) }];
  const tools = kind === "agent" && bytes > 5000 ? { tools: Array.from({ length: 5 }, (_, index) => tool(index)) } : {};
  const body = { model: "gpt-4o-mini", messages, temperature: 0.7, max_tokens: 1024, stream: true, ...tools };
  let size = JSON.stringify(body).length;
  // Prose comes in long documents, agents in many short turns.
  const longest = kind === "prose" ? bytes : 900;
  while (size < bytes - 60) {
    const message = {
      role: messages.length % 2 === 1 ? "user" : "assistant",
      content: textOf(Math.min(40 + random() * longest, bytes - size - 50)),
    };
    messages.push(message);
    size += JSON.stringify(message).length + 1;
  }
  return Buffer.from(JSON.stringify(body));
}
