// The watchdog itself: a small detached process that outlives the owner of a stack by a few seconds and ends what it left.
// Plain JavaScript with Node built-ins only, so that it starts in 50 ms from sources and from dist alike.
//   node watchdog-process.mjs FOLDER     stdin: a pipe from the owner; "released" = the owner ended everything itself
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { endProcesses, isAlive } from "./process-identity.mjs";

/** All of it must fit into the 10 s that the architecture promises: look, owner's own stop, grace, kill. */
const LOOK_EVERY_MS = 500;
const OWNER_GRACE_MS = 2_500;
const CHILD_GRACE_MS = 4_000;

const folder = process.argv[2];
const stateFile = join(folder, "processes.json");
const { owner, launcher } = readState();

let isBusy = false;
let launcherGoneAt;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
process.stdin.on("data", (chunk) => {
  if (chunk.toString().includes("released")) process.exit(0);
});
// The pipe closes the moment the owner dies, whatever killed it; the look twice a second is the second pair of eyes.
process.stdin.on("close", look);
process.stdin.on("error", look);
setInterval(look, LOOK_EVERY_MS);

function look() {
  if (isBusy) return;
  if (!isAlive(owner)) {
    isBusy = true;
    void clean();
  } else if (launcher && !isAlive(launcher)) {
    stopOwner();
  }
}

/** The command that started the owner is gone (kill -9 of `npm run demo`): the owner is asked to stop, then made to. */
function stopOwner() {
  const now = performance.now();
  if (launcherGoneAt === undefined) {
    launcherGoneAt = now;
    process.kill(owner.pid, "SIGTERM");
  } else if (now - launcherGoneAt > OWNER_GRACE_MS) {
    process.kill(owner.pid, "SIGKILL");
  }
}

async function clean() {
  const state = readState();
  // A later owner took the folder over: what is in it now is not ours to touch.
  if (state.owner.pid !== owner.pid || state.owner.startedAt !== owner.startedAt) process.exit(0);
  const ended = await endProcesses(state.processes, CHILD_GRACE_MS);
  console.error(
    `${new Date().toISOString()} owner ${owner.pid} died; ended: ${ended.join(", ") || "nothing was left"}`,
  );
  if (state.removeFolderAtEnd) {
    rmSync(folder, { recursive: true, force: true });
  } else {
    rmSync(stateFile, { force: true });
    rmSync(join(folder, "lock"), { force: true });
  }
  process.exit(0);
}

function readState() {
  try {
    return JSON.parse(readFileSync(stateFile, "utf8"));
  } catch {
    // the owner released the folder, and the file with it
    process.exit(0);
  }
}
