import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A connection that can be cut: TCP to a server through a port of our own. */
export interface Cable {
  readonly port: number;
  /** All connections end, new ones are refused. Idempotent, as is mending. */
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export async function startCable(host: string, port: number): Promise<Cable> {
  const sockets = new Set<Socket>();
  let server = listening(0);
  let isWhole = true;
  const own = ((await server).address() as AddressInfo).port;

  async function listening(on: number) {
    const created = createServer((socket) => {
      const far = connect(port, host);
      for (const [one, other] of [
        [socket, far],
        [far, socket],
      ] as const) {
        sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          sockets.delete(one);
          other.destroy();
        });
      }
      socket.pipe(far).pipe(socket);
    });
    await new Promise<void>((resolve) => created.listen(on, "127.0.0.1", resolve));
    return created;
  }

  return {
    port: own,
    async cut() {
      if (!isWhole) return;
      isWhole = false;
      const current = await server;
      const closed = new Promise<void>((resolve) => current.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async mend() {
      if (isWhole) return;
      isWhole = true;
      server = listening(own);
      await server;
    },
  };
}
