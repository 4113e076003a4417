// What can go wrong, with what to do about it.
//
// Owns the classes, and the exit code of each, which is that of tokenctl. Never carries a token.

/** Why there is no token, or none for this. */
export class TokendError extends Error {
  constructor(message, { code, advice, retryAfter, exitCode = 75, cause } = {}) {
    super(advice === undefined ? message : `${message}; ${advice}`, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.advice = advice;
    this.retryAfter = retryAfter;
    this.exitCode = exitCode;
  }
}

const kind = (exitCode) =>
  class extends TokendError {
    constructor(message, details = {}) {
      super(message, { ...details, exitCode });
    }
  };

/** The daemon does not run, or its socket is somewhere else. */
export class Unreachable extends kind(69) {}
/** Something else answers on the socket, or a release that is too old or too new. */
export class ProtocolError extends kind(70) {}
/** It may work later; `retryAfter` says when, if that is known. */
export class TryLater extends kind(75) {}
/** The policy refuses this program, or the system does not let it come to the socket. */
export class NotAllowed extends kind(77) {}
/** Another user can have put the socket there. Nothing was sent. */
export class Untrusted extends kind(77) {}
/** No account of this name is configured. */
export class UnknownAccount extends kind(78) {}
/** The account's configuration cannot work as it is, or its tokens do not live as long as was asked. */
export class Misconfigured extends kind(78) {}
/** The token is not for this address, scope or audience. It was not sent. */
export class WrongUse extends kind(78) {}
/** Only a person can help: `tokenctl login ACCOUNT`. */
export class LoginRequired extends kind(79) {}

const KINDS = new Map([
  ["not-allowed", NotAllowed],
  ["unknown-account", UnknownAccount],
  ["misconfigured", Misconfigured],
  ["validity-unattainable", Misconfigured],
  ["reload-failed", Misconfigured],
  ["invalid-scope", WrongUse],
  ["invalid-target", WrongUse],
  ["login-required", LoginRequired],
  ["bad-request", ProtocolError],
  ["unsupported-version", ProtocolError],
  ["internal", ProtocolError],
  ["header-required", ProtocolError],
  ["origin-refused", ProtocolError],
  ["unknown-path", ProtocolError],
  ["method-not-allowed", ProtocolError],
  ["unsupported-media-type", ProtocolError],
  ["too-large", ProtocolError],
]);

const text = (value) => (typeof value === "string" && value !== "" ? value : undefined);

/** The error of a problem (RFC 9457), or of an event that has its members. */
export function fault(problem) {
  const code = text(problem.code) ?? "unknown";
  const message = text(problem.detail) ?? text(problem.message) ?? text(problem.title);
  const retryAfter = typeof problem.retry_after === "number" ? problem.retry_after : undefined;
  // Without a time at which the daemon tries again by itself, a person has to decide.
  const doubt = code === "in-doubt" && retryAfter === undefined;
  const Kind = doubt ? LoginRequired : (KINDS.get(code) ?? TryLater);
  const details = { code, advice: text(problem.advice), retryAfter };
  return new Kind(message ?? `tokend refused the request (${code})`, details);
}

/** Whether a restart of the daemon, or a pause, may help. */
export function passes(error) {
  const passing = ["draining", "too-busy", "lost", "timeout"];
  return error instanceof Unreachable || (error instanceof TokendError && passing.includes(error.code));
}

export function protocol(what) {
  return new ProtocolError(`the answer is not one of tokend's: ${what}`, {
    code: "protocol",
    advice: "check that the path is tokend's HTTP socket, and that both are of the same release",
  });
}

export function lost(what) {
  return new TryLater(`the connection to tokend was lost: ${what}`, {
    code: "lost",
    advice: "try again; if it happens again, see: journalctl -u tokend",
  });
}

export function late(seconds) {
  return new TryLater(`no answer from tokend within ${seconds} s`, {
    code: "timeout",
    advice: "try again or allow more time; an attempt that has begun goes on",
  });
}

export function wrongAddress(account) {
  return new WrongUse(`the token of ${account} is not for this URL, and was not sent there`, {
    code: "wrong-use",
    advice: "see what it is for with client.accounts(); add the address to `urls` in [api] of the account, or correct the URL",
  });
}
