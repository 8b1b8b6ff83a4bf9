#!/usr/bin/env node
// Every relative link of every page leads to a file that is there and, where it names one, to a heading in it. Links to other sites are
// only counted: a check that needs the network fails for reasons that are not ours.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { documentationPages } from "./markdown/documentation-pages.mjs";
import { expectNone, Tally } from "./tally.mjs";
import { root } from "./workspace-packages.mjs";

const withoutCode = (markdown) => markdown.replace(/^(\s*)(`{3,})[^\n]*\n[\s\S]*?^\s*\2`*\s*$/gm, (block) => block.replace(/[^\n]/g, ""));

/** The anchor that GitHub gives a heading: lower case, punctuation dropped, spaces to hyphens, repeats numbered. */
function anchorsOf(markdown) {
  const seen = new Map();
  return new Set(
    [...withoutCode(markdown).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) => {
      const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
      const anchor = text.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
      const repeats = seen.get(anchor) ?? 0;
      seen.set(anchor, repeats + 1);
      return repeats === 0 ? anchor : `${anchor}-${repeats}`;
    }),
  );
}

/** Targets of inline links and of reference definitions, with the line each stands on. */
function linksOf(markdown) {
  return withoutCode(markdown)
    .split("\n")
    .flatMap((line, at) => {
      const text = line.replace(/`[^`]*`/g, "");
      const targets = [...text.matchAll(/\]\(<?([^)\s>]+)>?(?: +"[^"]*")?\)/g), ...text.matchAll(/^\[[^\]]+\]: +<?(\S+?)>?$/g)];
      return targets.map(([, target]) => ({ target, line: at + 1 }));
    });
}

function problemOf(page, target) {
  const [file, anchor] = target.split("#");
  const path = file === "" ? page : resolve(dirname(page), decodeURIComponent(file));
  if (!path.startsWith(root)) return "leads out of the repository";
  if (!existsSync(path)) return "leads nowhere";
  if (!anchor) return undefined;
  if (statSync(path).isDirectory() || !path.endsWith(".md"))
    return /^L\d+/.test(anchor) ? undefined : "names a heading of something that is no page";
  return anchorsOf(readFileSync(path, "utf8")).has(anchor) ? undefined : `no heading #${anchor} there`;
}

const tally = new Tally();
const pages = documentationPages();
const isElsewhere = (target) => /^(?:[a-z]+:)?\/\/|^mailto:/.test(target);
let elsewhere = 0;
console.log(`check-links: ${pages.length} pages`);
for (const page of pages) {
  const links = linksOf(readFileSync(page, "utf8"));
  elsewhere += links.filter(({ target }) => isElsewhere(target)).length;
  await tally.check(relative(root, page), () => {
    const broken = links.filter(({ target }) => !isElsewhere(target)).map(({ target, line }) => [target, line, problemOf(page, target)]);
    expectNone(broken.filter(([, , problem]) => problem).map(([target, line, problem]) => `line ${line}: ${target} ${problem}`));
  });
}

await tally.check("every page of docs can be reached from the README", () => {
  const reached = new Set();
  const visit = (page) => {
    if (reached.has(page) || !page.endsWith(".md") || !existsSync(page)) return;
    reached.add(page);
    for (const { target } of linksOf(readFileSync(page, "utf8")))
      if (!isElsewhere(target)) visit(resolve(dirname(page), target.split("#")[0]));
  };
  visit(join(root, "README.md"));
  expectNone(pages.filter((page) => !reached.has(page)).map((page) => `${relative(root, page)}: nothing links to it`));
});
console.log(`${elsewhere} links to other sites, not followed`);
tally.close();
