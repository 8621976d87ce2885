// Counts tokens with two real tokenizers, to hold an estimate against them.
//
// Reads lines from standard input, each a JSON array of texts, and answers each with a line
// {"o200k_base": n, "claude": n}: the sum over the texts, each encoded alone. Marks of special tokens in
// a text ("<|endoftext|>") are text like any other. Run it from a folder that has the packages installed.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';

const { getTokenizer } = createRequire(import.meta.url)('@anthropic-ai/tokenizer');
const claude = getTokenizer();
const asText = { disallowedSpecial: new Set() };

const sum = (texts, count) => texts.reduce((total, text) => total + count(text), 0);

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const texts = JSON.parse(line);
  const counts = {
    o200k_base: sum(texts, (text) => countTokens(text, asText)),
    // The package's own countTokens normalizes too; it also builds a tokenizer anew for each call.
    claude: sum(texts, (text) => claude.encode(text.normalize('NFKC'), [], []).length),
  };
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}
