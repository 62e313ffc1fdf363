#!/usr/bin/env node
// The `waypost` command. `npx waypost --help` lists what it does.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = new URL("../dist/src/entrances/cli/main.js", import.meta.url);
if (existsSync(fileURLToPath(main))) {
  await import(main.href);
} else {
  console.error("waypost: not built yet. Run: npm run build");
  process.exitCode = 3;
}
