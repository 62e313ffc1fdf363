// Writes dist/workflow-bundle.js from dist/workflows/index.js: a worker that gets it starts without bundling (0.3–1 s).
// Run by setup.mjs after compiling.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";

const workflowsPath = fileURLToPath(new URL("../dist/workflows/index.js", import.meta.url));
const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger("WARN") });
writeFileSync(fileURLToPath(new URL("../dist/workflow-bundle.js", import.meta.url)), code);
