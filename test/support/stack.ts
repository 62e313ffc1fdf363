import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startStack } from "../../src/local/stack.js";

declare module "vitest" {
  export interface ProvidedContext {
    /** The one Postgres of this `npm test`, or undefined with WAYPOST_TEST_STACK=off. Use `freshDatabase()`, never this database itself. */
    databaseUrl: string | undefined;
    /** `host:port` of the one Temporal server (namespace "default"): tests tell each other apart by task queue and workflow id. */
    temporalAddress: string | undefined;
  }
}

/**
 * Starts one Postgres and one Temporal for the whole test run, in a temporary folder that vanishes with it, also after
 * kill -9. Test files read `inject("databaseUrl")` and `inject("temporalAddress")`.
 *
 * DATABASE_URL and TEMPORAL_ADDRESS of the shell are ignored on purpose: tests drop databases. For a run on servers
 * from outside: WAYPOST_TEST_DATABASE_URL, WAYPOST_TEST_TEMPORAL_ADDRESS.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.env.WAYPOST_TEST_STACK === "off") {
    project.provide("databaseUrl", undefined);
    project.provide("temporalAddress", undefined);
    return async () => {};
  }
  const { WAYPOST_TEST_DATABASE_URL, WAYPOST_TEST_TEMPORAL_ADDRESS, ...rest } = process.env;
  const stack = await startStack({
    folder: await mkdtemp(join(tmpdir(), "waypost-test-")),
    removeFolderAtEnd: true,
    environment: {
      ...rest,
      DATABASE_URL: WAYPOST_TEST_DATABASE_URL,
      TEMPORAL_ADDRESS: WAYPOST_TEST_TEMPORAL_ADDRESS,
      TEMPORAL_NAMESPACE: undefined,
    },
    // What a crash of the machine would lose is lost with the folder anyway.
    postgresSettings: { fsync: "off" },
    temporalUiPort: "none",
    log: (line) => console.error(line),
  });
  project.provide("databaseUrl", stack.databaseUrl);
  project.provide("temporalAddress", stack.temporalAddress);
  return () => stack.stop();
}
