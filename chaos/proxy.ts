import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A door on loopback that keeps its port while the server behind it dies and comes back on another. */
export interface Door {
  readonly port: number;
  /** `host:port` of who stands behind it from now on; undefined: nobody, and who knocks is turned away. */
  lead(target: string | undefined): void;
  stop(): Promise<void>;
}

export async function openDoor(first: string): Promise<Door> {
  const open = new Set<Socket>();
  let target: URL | undefined = new URL(`tcp://${first}`);
  const server = createServer((near) => {
    near.on("error", () => {});
    if (target === undefined) {
      near.destroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    lead(next) {
      target = next === undefined ? undefined : new URL(`tcp://${next}`);
      if (next === undefined) for (const socket of open) socket.destroy();
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
