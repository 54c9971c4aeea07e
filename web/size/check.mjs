// What the first page costs: everything that the entry loads at once, gzipped. Fonts are compressed already.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 300 * 1024;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

const files = new Set(["index.html"]);
function collect(name) {
  const chunk = manifest[name];
  if (files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const css of chunk.css ?? []) files.add(css);
  for (const next of chunk.imports ?? []) collect(next);
}
collect("index.html");
collect("src/pages/overview/OverviewPage.tsx");
// Of the font's subsets a browser fetches the one that the page's letters need.
const latin = Object.values(manifest)
  .flatMap((chunk) => chunk.assets ?? [])
  .find((asset) => /inter-latin-wght/.test(asset));
if (latin) files.add(latin);

let total = 0;
for (const file of [...files].sort()) {
  const bytes = readFileSync(new URL(file, dist));
  const size = file.endsWith(".woff2") ? bytes.length : gzipSync(bytes, { level: 9 }).length;
  total += size;
  console.log(`${String(size).padStart(8)}  ${file}`);
}
console.log(`${String(total).padStart(8)}  first load, of ${BUDGET}`);
if (total > BUDGET) {
  console.error("the first load is over its budget");
  process.exit(1);
}
