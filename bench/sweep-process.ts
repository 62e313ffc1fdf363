/** One daily evaluation of everybody, of the instant in the argument (epoch milliseconds), in a process of its own; prints what it took as JSON. */
import { readEnvironment } from "../src/entrances/environment.js";
import { wire } from "../src/entrances/wire.js";
import { sweepDue } from "../src/operations/sweep-health.js";
import { peakMiB } from "./processes.js";

const wired = wire(readEnvironment(process.env, ["DATABASE_URL"]), "sweep");
// Connections and plans are there in a worker.
await wired.store.read((tx) => wired.store.playbooks.configuration(tx, "health"));
const startedAt = performance.now();
const cpuBefore = process.cpuUsage();
// As a worker does it, with the note of how far it has got.
const [report] = await sweepDue(wired.healthPorts, Number(process.argv[2]));
const seconds = (performance.now() - startedAt) / 1_000;
const cpu = process.cpuUsage(cpuBefore);
await wired.close();
process.stdout.write(
  JSON.stringify({
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    peakMiB: peakMiB(process.pid),
    written: report?.written ?? 0,
  }),
);
