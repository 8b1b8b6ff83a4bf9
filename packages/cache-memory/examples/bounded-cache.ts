// A cache bounded by entries and bytes, its counters, and a restart that keeps what was hot.
// npm install @larder/cache-memory
// Save it as bounded-cache.mts: `node bounded-cache.mts` runs it from Node 22.18 on, `npx tsx bounded-cache.mts` on Node 20.
import { MemoryCache } from "@larder/cache-memory";

interface Answer {
  readonly model: string;
  readonly text: string;
}

const answers = new MemoryCache<Answer>({
  maxEntries: 10_000,
  maxBytes: 16 * 1024 * 1024,
  ttlMs: 60_000,
  values: "frozen",
  onRemoved: (key, _answer, cause) => {
    if (cause === "size") console.log(`made room: ${key}`);
  },
});

answers.set("chat:1", { model: "small", text: "An answer." });
answers.set("chat:2", { model: "small", text: "Another one." }, { ttlMs: 5_000 });
console.log(answers.get("chat:1")?.text); // An answer.
console.log(answers.get("chat:3")); // undefined: a miss
console.log(answers.lookup("chat:2").status); // hit

const { hits, misses, entries, bytes } = answers.stats();
console.log({ hits, misses, entries, isCounted: bytes !== undefined && bytes > 0 });

// Before a restart: plain data, with the times to live that are left. After it: what is not over yet.
const dump = answers.dump();
answers.close();
const restarted = new MemoryCache<Answer>({ maxEntries: 10_000 });
console.log(restarted.restore(dump)); // 2
restarted.close();
