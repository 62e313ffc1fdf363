// Lets the SDK's own core download the Temporal CLI, as its test environment does, and leaves it in FOLDER.
// A process of its own, as the core has to start the server once to hand the file out, and to keep its native
// runtime out of the process that owns the stack.
//   node download-temporal-process.mjs FOLDER VERSION      stdout: the path of the executable
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { DefaultLogger, Runtime } from "@temporalio/worker";

const [folder, version] = process.argv.slice(2);
const sdkVersion = createRequire(import.meta.url)("@temporalio/worker/package.json").version;

try {
  Runtime.install({ logger: new DefaultLogger("ERROR"), shutdownSignals: [] });
  const runtime = Runtime.instance();
  const server = await runtime.createEphemeralServer({
    type: "dev-server",
    exe: { type: "cached-download", downloadDir: folder, version, ttl: 0, sdkName: "sdk-typescript", sdkVersion },
    namespace: "default",
    ip: "127.0.0.1",
    port: null,
    uiPort: null,
    dbFilename: null,
    ui: false,
    log: { format: "pretty", level: "warn" },
    extraArgs: [],
  });
  await runtime.shutdownEphemeralServer(server);
  const file = readdirSync(folder).find((name) => name.startsWith("temporal-") && !name.endsWith(".downloading"));
  if (file === undefined) throw new Error("the SDK left no executable");
  console.log(join(folder, file));
} catch (fault) {
  // One line: it becomes the reason that a person reads. The core repeats itself; its last clause says the most.
  console.error(fault.message.split("\n")[0].split(": ").slice(-2).join(": "));
  process.exit(1);
}
