import type { RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import { Problem, problemResponse } from "./problem.js";

/** Answers requests that no route sees, because they are no right HTTP, with a problem like any other. Says nothing of what was wrong inside. */
export function answerUnreadable(server: Server): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
    void write(socket, error.code === "HPE_HEADER_OVERFLOW" ? TOO_LONG : UNREADABLE);
  });
  // Node answers other expectations than 100-continue with an empty 417; to leave them unmet is right too (RFC 9110, 10.1.1).
  const listener = server.listeners("request")[0] as RequestListener;
  server.on("checkExpectation", (request, response) => listener(request, response));
}

/** For requests whose address or Host can't be understood; other errors are the caller's own. */
export function unreadableRequest(error: unknown): Response | undefined {
  return error instanceof Error && error.name === "RequestError" ? problemResponse(UNREADABLE) : undefined;
}

const UNREADABLE = new Problem("bad-request", "the request is no right HTTP: its first line, Host or a header");
const TOO_LONG = new Problem("bad-request", "the request's address or headers are too long");

async function write(socket: Socket, problem: Problem): Promise<void> {
  const response = problemResponse(problem);
  const body = await response.text();
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(
    `HTTP/1.1 ${response.status} Bad Request\r\n${headers}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
