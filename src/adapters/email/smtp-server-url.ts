/** A mail server as its address names it. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte (`smtps:`). */
  readonly secure: boolean;
  /** What STARTTLS is to `smtp:`: compulsory, used if offered, never used. */
  readonly tls: "required" | "opportunistic" | "never";
  readonly user?: string;
  readonly password?: string;
}

/**
 * The server behind `smtp://user:password@host:port` (port 587) or `smtps://…` (465). `?tls=required|opportunistic|never`
 * says what STARTTLS is; without it: required where a password would travel to another machine, else used if offered.
 * Throws, without repeating the password, for anything else.
 */
export function smtpServerFromUrl(text: string): SmtpServer {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(`not an address of a mail server. ${EXPECTED}`);
  }
  if (url.protocol !== "smtp:" && url.protocol !== "smtps:")
    throw new Error(`"${url.protocol}" is not SMTP. ${EXPECTED}`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (host === "") throw new Error(`the host is missing. ${EXPECTED}`);
  const secure = url.protocol === "smtps:";
  const user = decodeURIComponent(url.username);
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  const tls = url.searchParams.get("tls") ?? (user !== "" && !isLocal ? "required" : "opportunistic");
  if (tls !== "required" && tls !== "opportunistic" && tls !== "never") {
    throw new Error(`tls=${tls} is not known. It is one of required, opportunistic, never`);
  }
  return {
    host,
    port: url.port === "" ? (secure ? 465 : 587) : Number(url.port),
    secure,
    tls,
    ...(user === "" ? {} : { user, password: decodeURIComponent(url.password) }),
  };
}

const EXPECTED = "Expected smtp://user:password@host:port or smtps://user:password@host:port";
