import { findTemporalCli } from "../../src/local/find-temporal-cli.js";

/** Fetches or builds the Temporal CLI before the first test, which may take minutes once: a test's time limit is no place for it. */
export default async function setup(): Promise<void> {
  if (process.env.WAYPOST_TEST_STACK === "off") return;
  await findTemporalCli({ log: (line) => console.error(line) });
}
