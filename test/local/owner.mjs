// The owner of a stack in a process of its own, so that a test can kill it.
//   node owner.mjs COMPILED_ROOM FOLDER hold|return|throw|deaf
// Says on stdout one JSON line when the stack is up; `deaf` does not answer the abort signal.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [room, folder, mode] = process.argv.slice(2);
const { withStack } = await import(join(room, "stack.js"));
const options = { folder, log: (line) => console.error(line), temporalUiPort: "none" };
await withStack(options, async (stack, signal) => {
  const child = stack.supervise({
    name: "sleeper",
    command: process.execPath,
    args: ["-e", "setInterval(() => {}, 1000)"],
  });
  console.log(
    JSON.stringify({
      databaseUrl: stack.databaseUrl,
      temporalAddress: stack.temporalAddress,
      sleeper: child.pid(),
      ...JSON.parse(readFileSync(join(folder, "processes.json"), "utf8")),
    }),
  );
  if (mode === "return") return;
  if (mode === "throw") throw new Error("thrown on purpose");
  if (mode === "deaf") await sleep(600_000);
  const alive = setInterval(() => {}, 1_000);
  if (!signal.aborted) await once(signal, "abort");
  clearInterval(alive);
});
console.log("ended in order");
