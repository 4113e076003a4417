// Where the daemon's HTTP socket is, and whether it is tokend's.
//
// Owns the search order, and the rule of whom to trust. Node does not tell who listens, so the socket must lie where nobody else can have put
// it. It never passes over a socket that is there and keeps the caller out: the next one would be another daemon's.

import { lstatSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import { NotAllowed, Unreachable, Untrusted } from "./errors.js";

const SYSTEM = "/run/tokend/http.sock";
const BELOW = "tokend/http.sock";
/** How many symbolic links the kernel follows in one path. */
const LINKS = 40;

/** The socket's path: the one that is named, by option or variable, as it is; else the first that exists. */
export function find(named, environment = process.env, system = SYSTEM, users = "/run/user") {
  const chosen = named || environment.TOKEND_HTTP_SOCKET;
  if (chosen) return chosen;
  const runtime = environment.XDG_RUNTIME_DIR;
  const places = [...(runtime ? [join(runtime, BELOW)] : []), join(users, String(process.geteuid()), BELOW), system];
  const tried = [...new Set(places)];
  for (const place of tried) {
    try {
      statSync(place);
      return place;
    } catch (error) {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") continue;
      throw new NotAllowed(`cannot look at ${place}, where a daemon's socket may be: ${error.code}`, {
        code: "kept-out",
        advice: "say which daemon is meant with TOKEND_HTTP_SOCKET",
      });
    }
  }
  throw new Unreachable(`no HTTP socket of tokend found; looked at ${tried.join(" and ")}`, {
    code: "no-socket",
    advice: "switch it on (systemctl enable --now tokend-http.socket), or name it with TOKEND_HTTP_SOCKET",
  });
}

export function unreachable(path, error) {
  const what = `cannot reach tokend at ${path}: ${error.code ?? error.message}`;
  if (error.code === "EACCES") {
    const advice = "the socket's mode, or a directory that leads to it, keeps you out: ask its owner";
    return new NotAllowed(what, { code: "kept-out", advice });
  }
  const advice = "start the daemon and its HTTP socket (systemctl start tokend-http.socket), or check TOKEND_HTTP_SOCKET";
  return new Unreachable(what, { code: "not-reachable", advice });
}

/** Fails unless only root, tokend or this user can have put the socket there. What is missing is told by who connects. */
export function demandTrust(path, daemonUid, ours = trusted(daemonUid)) {
  let found;
  try {
    found = lstatSync(path);
  } catch (error) {
    throw unreachable(path, error);
  }
  if (found.isSymbolicLink() || (found.isSocket() && !(ours.has(found.uid) && held(dirname(resolve(path)), ours)))) {
    throw new Untrusted(`the socket ${path} (of user ${found.uid}) is where others than root, tokend and you can have put it`, {
      code: "untrusted",
      advice: "name tokend's own socket; if the daemon that is meant runs as another user, say so: daemonUid",
    });
  }
}

function trusted(daemonUid) {
  const found = new Set([0, process.geteuid()]);
  if (daemonUid !== undefined) found.add(daemonUid);
  try {
    const line = readFileSync("/etc/passwd", "utf8").match(/^tokend:[^:]*:(\d+):/m);
    if (line !== null) found.add(Number(line[1]));
  } catch {
    // Without the file there is no such user.
  }
  return found;
}

const names = (path) => path.split("/").filter((name) => name !== "" && name !== ".");

/** Goes to a directory as the kernel would; false where others can change an entry on the way, links included. */
function held(folder, ours) {
  const ahead = names(folder).reverse();
  let here = "/";
  let links = 0;
  let shared = isShared(lstatSync(here), ours);
  while (shared !== undefined && ahead.length > 0) {
    const name = ahead.pop();
    here = name === ".." ? dirname(here) : join(here, name);
    const found = lstatSync(here);
    if (!found.isSymbolicLink()) {
      shared = isShared(found, ours);
      continue;
    }
    links += 1;
    // Where others can add names, a link of ours may be a second name that they gave it.
    if (shared || !ours.has(found.uid) || links > LINKS) return false;
    const to = readlinkSync(here);
    here = to.startsWith("/") ? "/" : dirname(here);
    ahead.push(...names(to).reverse());
    shared = isShared(lstatSync(here), ours);
  }
  return shared === false;
}

/** Whether others can add names to a directory; undefined if they can replace those that are there. */
function isShared(found, ours) {
  if (!found.isDirectory() || !ours.has(found.uid)) return undefined;
  if ((found.mode & 0o022) === 0) return false;
  return (found.mode & 0o1000) === 0 ? undefined : true;
}
