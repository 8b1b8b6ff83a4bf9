import type { Normalizer } from "./normalizer.ts";
import { textSlots } from "./text-slots.ts";

/** White space at the end of prompts and messages: templates and editors leave it there. Inside a text it stays. */
export const trimTrailingSpace: Normalizer = {
  name: "trailing-space",
  normalize(endpoint, body, report) {
    for (const slot of textSlots(endpoint, body)) {
      const trimmed = slot.read().trimEnd();
      if (trimmed === slot.read()) continue;
      slot.write(trimmed);
      report(slot.path);
    }
  },
};
