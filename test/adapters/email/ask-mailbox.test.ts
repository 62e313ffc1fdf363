import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { askMailbox } from "../../../src/adapters/email/ask-mailbox.js";

test("a question that fails on its way is asked once more, then it can't be told", async () => {
  let broken = 1;
  const server = createServer((request, response) => {
    if (broken-- > 0) request.socket.destroy();
    else response.writeHead(request.url?.includes("known") ? 200 : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    expect(await askMailbox(url, "<known@x>")).toBe(true);
    broken = 1;
    expect(await askMailbox(url, "<other@x>")).toBe(false);
    broken = 2;
    expect(await askMailbox(url, "<known@x>")).toBeUndefined();
  } finally {
    server.close();
  }
});
