/** What stands first in the paths of OpenAI's and Anthropic's APIs, and of those like them, beside what is answered from the cache. */
const KNOWN: ReadonlySet<string> = new Set([
  "assistants",
  "audio",
  "batches",
  "classify",
  "containers",
  "conversations",
  "evals",
  "files",
  "fim",
  "fine_tuning",
  "images",
  "moderations",
  "organization",
  "realtime",
  "rerank",
  "score",
  "skills",
  "threads",
  "uploads",
  "vector_stores",
  "videos",
]);

/** Anthropic has its batches below its messages. */
const FIRST = /^\/v1\/(?:messages\/)?([a-z_]+)/;

/** What a request is counted under that is passed on: callers write what paths they like, and each name that is counted under is kept for ever. */
export function passedEndpoint(path: string): string {
  const name = FIRST.exec(path)?.[1] ?? "";
  return KNOWN.has(name) ? name : "other";
}
