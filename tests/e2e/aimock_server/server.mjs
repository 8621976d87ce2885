// Serves aimock with the fixtures of a file until standard input ends: server.mjs PACKAGE FIXTURES
//
// The package lies elsewhere, so it is imported by its path. Once it serves, a line "LISTENING URL" says where.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , folder, fixtures] = process.argv;
const { LLMock } = await import(pathToFileURL(join(folder, 'dist', 'index.js')).href);

const mock = new LLMock({ port: 0, host: '127.0.0.1', logLevel: 'warn' });
mock.loadFixtureFile(fixtures);
const url = await mock.start();
// Node closes a connection that has been idle for five seconds, and who sends on it in that moment gets no answer.
// LiteLLM reuses connections and tries nothing twice here.
mock.serverInstance.server.keepAliveTimeout = 3_600_000;
process.stdout.write(`LISTENING ${url}\n`);

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
