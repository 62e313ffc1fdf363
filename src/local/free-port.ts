import { createServer } from "node:net";

/**
 * A TCP port on loopback that nothing listens on now.
 *
 * The system gives out ports at random and not the same one again soon, but nothing reserves it: whoever starts a
 * server on it retries with another when the port was taken in between.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.unref();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no free port on 127.0.0.1"));
        else resolve(address.port);
      });
    });
  });
}
