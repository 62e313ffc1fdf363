import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../../../src/adapters/postgres/migrate.js";
import { type RunningPostgres, startPostgres } from "../../../src/local/postgres.js";
import type { FreshDatabase } from "../../support/database.js";
import { startTcpProxy } from "../../support/tcp-proxy.js";

/** A Postgres of its own, of which cold copies can be made and put back; its address stays. */
export interface CopiedPostgres extends FreshDatabase {
  /** Stops it, copies its data folder, starts it again. */
  copy(): Promise<void>;
  /** Stops it; puts the copy in place of its data folder. */
  putBack(): Promise<void>;
  start(): Promise<void>;
}

export async function startCopiedPostgres(): Promise<CopiedPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "waypost-cold-"));
  const data = join(folder, "postgres", "data");
  const aside = join(folder, "postgres", "copy");
  const start = (): Promise<RunningPostgres> => startPostgres({ folder, log: () => {}, environment: {} });
  let postgres = await start();
  const proxy = await startTcpProxy(new URL(postgres.url).host);
  const url = new URL(postgres.url);
  url.host = `127.0.0.1:${proxy.port}`;
  await migrate(url.toString());

  const stop = async (): Promise<void> => {
    await proxy.cut();
    await postgres.stop();
  };
  const again = async (): Promise<void> => {
    postgres = await start();
    proxy.retarget(new URL(postgres.url).host);
    await proxy.restore();
  };
  return {
    url: url.toString(),
    async copy() {
      await stop();
      copyFolder(data, aside);
      await again();
    },
    async putBack() {
      await stop();
      rmSync(data, { recursive: true });
      copyFolder(aside, data);
    },
    start: again,
    async drop() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function copyFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`not copied: ${stderr}`);
}
