import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** A door in front of a server on loopback, which a test can shut. */
export interface TcpProxy {
  readonly port: number;
  /** From now on connections are refused, and those that are open break off: the server is down. */
  cut(): Promise<void>;
  /** From now on nothing that is sent arrives, either way, and nobody is told: the network is down. */
  freeze(): void;
  /** As if nothing had been; what was sent while it was frozen is lost with its connections. */
  restore(): Promise<void>;
  /** From now on who connects gets to another server (`host:port`). */
  retarget(target: string): void;
  stop(): Promise<void>;
}

/** Passes on bytes between who connects to its port and `target` (`host:port`). */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  let to = new URL(`tcp://${target}`);
  const open = new Set<Socket>();
  let isFrozen = false;
  let isListening = false;

  const server = createServer((near) => {
    const far = connect(Number(to.port), to.hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on("data", (chunk) => {
        if (!isFrozen) other.write(chunk);
      });
      socket.on("error", () => other.destroy());
      socket.on("end", () => other.end());
      socket.on("close", () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });

  async function listen(port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
    isListening = true;
    return (server.address() as AddressInfo).port;
  }

  async function cut(): Promise<void> {
    if (!isListening) return;
    isListening = false;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of open) socket.destroy();
    await closed;
  }

  const port = await listen(0);
  return {
    port,
    cut,
    freeze: () => {
      isFrozen = true;
    },
    async restore() {
      if (isFrozen) for (const socket of open) socket.destroy();
      isFrozen = false;
      if (!isListening) await listen(port);
    },
    retarget(other) {
      to = new URL(`tcp://${other}`);
    },
    stop: cut,
  };
}
