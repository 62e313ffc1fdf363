import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// Preloaded (`NODE_OPTIONS=--import …`) into a process whose memory is measured, each of its threads: garbage that V8 has had no reason to
// collect yet would count as memory that a run needs.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
setInterval(collect, 1_000).unref();
