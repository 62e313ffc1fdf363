// Loaded by `--import` into the processes of a chaos run, and by nothing else: makes `WAYPOST_DIE_AT=point[:n]` end the process (SIGKILL to
// itself) the n-th time that it comes by the named point, and `WAYPOST_NAIVE=1` take the fence out. The build itself knows nothing of it.
import { writeSync } from "node:fs";
import { register } from "node:module";

const [point, times] = (process.env.WAYPOST_DIE_AT ?? "").split(":");
if (point) {
  let left = Number(times ?? 1);
  globalThis.waypostIsNext = (name) => name === point && (left === 1 || ((left -= 1), false));
  globalThis.waypostPoint = (name) => {
    if (name !== point || --left > 0) return;
    writeSync(2, `WAYPOST_DIED_AT=${name}\n`);
    process.kill(process.pid, "SIGKILL");
  };
}
const isNaive = process.env.WAYPOST_NAIVE === "1";
if (point || isNaive) register("./points.mjs", import.meta.url, { data: { point, isNaive } });
