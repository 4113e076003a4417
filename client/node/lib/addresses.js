// Which addresses a token may be sent to.
//
// Owns the comparison, by the same rules as tokend's own: scheme, host and port as they are, the path in whole parts, and `*.` before a host
// for every host below it. A line that only a newer release can read covers nothing.

const PART = /^[A-Za-z0-9_-]{1,63}$/;
const CODES = [
  ["%2e", "."],
  ["%2f", "/"],
  ["%5c", "\\"],
  ["%25", "%"],
];

/** The parts of a URL, as Node's own parser takes it apart, which sends the request. */
export function target(url) {
  let parts;
  try {
    parts = new URL(url);
  } catch {
    return undefined;
  }
  const ports = { "https:": "443", "http:": "80" };
  if (ports[parts.protocol] === undefined || parts.username !== "" || parts.password !== "") return undefined;
  return { scheme: parts.protocol, host: parts.hostname, port: parts.port || ports[parts.protocol], path: parts.pathname };
}

/** Whether one of these addresses covers the target. */
export function covered(urls, wanted) {
  return wanted !== undefined && urls.some((url) => covers(url, wanted));
}

function covers(url, wanted) {
  const allowed = target(url);
  if (allowed === undefined || (allowed.scheme === "http:" && !isLoopback(allowed.host))) return false;
  const same = allowed.scheme === wanted.scheme && allowed.port === wanted.port;
  return same && coversHost(allowed.host, wanted.host) && coversPath(allowed.path, wanted.path);
}

function coversHost(allowed, host) {
  if (!allowed.startsWith("*.")) return host === allowed;
  const suffix = allowed.slice(1);
  const below = host.endsWith(suffix) ? host.slice(0, -suffix.length) : "";
  return below !== "" && below.split(".").every((part) => PART.test(part));
}

function coversPath(allowed, path) {
  const prefix = allowed.replace(/\/+$/, "");
  if (prefix === "") return path.startsWith("/");
  if (!path.startsWith(prefix) || leadsOut(path)) return false;
  const rest = path.slice(prefix.length);
  return rest === "" ? !allowed.endsWith("/") : rest.startsWith("/");
}

/** Whether a part of the path is `..` once it is decoded, however its slashes are written. */
function leadsOut(path) {
  let decoded = path.toLowerCase();
  // Twice, for servers behind a proxy that decodes as well.
  for (let round = 0; round < 2; round += 1) {
    for (const [code, letter] of CODES) decoded = decoded.replaceAll(code, letter);
  }
  return decoded.split(/[/\\]/).some((part) => part.split(";")[0] === "..");
}

function isLoopback(host) {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
