// Stands for `npm run demo`: starts owner.mjs as setup.mjs starts the demo, and passes its output on.
import { spawn } from "node:child_process";

spawn(process.execPath, process.argv.slice(2), {
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, WAYPOST_LAUNCHER_PID: String(process.pid) },
});
