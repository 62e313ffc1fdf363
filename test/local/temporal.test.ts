import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findTemporalCli } from "../../src/local/find-temporal-cli.js";
import { type RunningTemporal, startTemporal } from "../../src/local/temporal.js";

let folder: string;
let running: RunningTemporal | undefined;
const findCli = () => findTemporalCli({ log: () => {} });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "waypost-temporal-test-"));
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  rmSync(folder, { recursive: true, force: true });
});

test("it is ready when it returns, with our search attributes and its page", async () => {
  running = await startTemporal({ folder, findCli, log: () => {}, environment: {} });
  expect(running).toMatchObject({ namespace: "default", isEmbedded: true });
  const connection = await Connection.connect({ address: running.address });
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: "default" });
    expect(Object.keys(customAttributes ?? {})).toEqual(
      expect.arrayContaining(["WaypostPlaybook", "WaypostAccount", "WaypostStatus"]),
    );
  } finally {
    await connection.close();
  }
  const page = await fetch(`${running.uiUrl}/namespaces/default/workflows`);
  expect(page.status).toBe(200);
});

test("killed, it is back at the same address with the runs of its file", async () => {
  running = await startTemporal({
    folder,
    findCli,
    log: () => {},
    environment: {},
    uiPort: "none",
    dbFilename: "kept.db",
  });
  const connection = await Connection.connect({ address: running.address });
  try {
    const client = new Client({ connection });
    await client.workflow.start("nobody-works-on-it", { taskQueue: "none", workflowId: "kept" });
    await running.crash();
    expect((await client.workflow.getHandle("kept").describe()).status.name).toBe("RUNNING");
  } finally {
    await connection.close();
  }
});

test("a server from outside is used as it is, without asking for a CLI", async () => {
  const server = await startTemporal({ folder, findCli, log: () => {}, environment: {}, uiPort: "none" });
  try {
    const environment = { TEMPORAL_ADDRESS: server.address };
    const noCli = async () => {
      throw new Error("no CLI is needed");
    };
    const outside = await startTemporal({ folder, findCli: noCli, log: () => {}, environment });
    expect(outside).toMatchObject({
      address: server.address,
      namespace: "default",
      isEmbedded: false,
      uiUrl: undefined,
    });
    await outside.stop();
    const connection = await Connection.connect({ address: server.address });
    await connection.close();
  } finally {
    await server.stop();
  }
});

test("a server that lost the race for one of its own ports, and said so above a long stack, is started again", async () => {
  const { path } = await findCli();
  const once = join(folder, "once.sh");
  const stack = Array.from({ length: 40 }, (_, n) => `github.com/spf13/cobra@v1.9.1/command.go:${n}`).join("\n");
  writeFileSync(
    once,
    `#!/bin/sh\nif [ ! -e "$0.done" ]; then touch "$0.done"; cat >&2 <<'SAID'\npanic: listen tcp 127.0.0.1:1: bind: address already in use\n${stack}\nSAID\nexit 2; fi\nexec "${path}" "$@"\n`,
    { mode: 0o755 },
  );
  const options = { folder, log: () => {}, environment: {}, uiPort: "none" as const };
  const server = await startTemporal({ ...options, findCli: async () => ({ path: once }) });
  await server.stop();

  writeFileSync(once, "#!/bin/sh\necho 'panic: no memory' >&2\nseq 1 50 >&2\nexit 2\n");
  await expect(startTemporal({ ...options, findCli: async () => ({ path: once }) })).rejects.toThrow(
    /^Temporal did not start: it ended at once: panic: no memory \(log/,
  );
});

test("a page port that is taken is said at once, with the server's own words", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  try {
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    await expect(startTemporal({ folder, findCli, log: () => {}, environment: {}, uiPort: port })).rejects.toThrow(
      new RegExp(`^Temporal did not start: .*${port}.*\\(log: .*logs/temporal\\.log\\)$`),
    );
  } finally {
    taken.close();
  }
});
