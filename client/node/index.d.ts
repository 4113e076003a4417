/** An access token. `value` is the secret; nothing else shows it. */
export declare class Token {
  private constructor();
  /** The secret. */
  readonly value: string;
  /** What goes before it in `Authorization`; `N_A` where it does not belong there. */
  readonly type: string;
  /** When it expires, where known. */
  readonly expiresAt: Date | undefined;
  /** How many seconds it still lives, where known. */
  readonly expiresIn: number | undefined;
  /** What it is good for, where the provider said so. */
  readonly scope: string | undefined;
  /** The name and value of the header that presents it to its API. */
  header(): [name: string, value: string];
}

/** How long to wait for what, in seconds. */
export interface Patience {
  /** How long the daemon may wait for the rate limit. */
  wait?: number;
  /** How long it may take altogether; 30 by default, and `wait`. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface Demand extends Patience {
  /** How many seconds the token must still live. */
  minValidity?: number;
}

/** An account, and the addresses its token may be sent to. */
export interface Account {
  name: string;
  urls: string[];
  /** Whether its API may refuse the token in an answer with a status below 400: ask `refused` about those too. */
  refusedBelow400: boolean;
}

/** What a watch tells. Skip kinds that you do not know. */
export type TokenEvent =
  | { kind: "token"; token: Token }
  | { kind: "retired" }
  | { kind: "unavailable"; error: TokendError }
  | { kind: "reconnecting"; error: TokendError };

export interface ClientOptions {
  /** The path of the daemon's HTTP socket. */
  socket?: string;
  /** Whether to hold tokens and follow their renewals; true by default. */
  follow?: boolean;
  /** The user that the daemon runs as, where that is not root, tokend or this one. */
  daemonUid?: number;
}

/** Asks tokend for tokens, and keeps each until it is over. */
export declare class Client {
  constructor(options?: ClientOptions);
  /** The account's token. No request is made while one is held that lives long enough. */
  token(account: string, demand?: Demand): Promise<Token>;
  /** Reports that an API refused this token, and returns the next one. */
  reject(account: string, token: Token | string, patience?: Patience): Promise<Token>;
  /** Whether an API's answer refuses the account's token, by the rules of its dialect. Changes nothing. */
  refused(account: string, status: number, body?: string): Promise<boolean>;
  /** The account's token for this URL; `WrongUse` where it is not for that. */
  tokenFor(account: string, url: string | URL, demand?: Demand): Promise<Token>;
  /** The accounts whose token this program may have. */
  accounts(): Promise<Account[]>;
  /** The state of all accounts, or of one, as `tokenctl status --json` has it. */
  status(account?: string): Promise<Array<Record<string, unknown>>>;
  /** What the daemon sees of this program. */
  whoami(): Promise<Record<string, unknown>>;
  /** That the daemon serves, and its release. */
  health(): Promise<Record<string, unknown>>;
  /** The account's token now, and whatever happens to it. A restart of the daemon does not end it; its error does. */
  watch(account: string, options?: { minValidity?: number; signal?: AbortSignal }): AsyncGenerator<TokenEvent, void, undefined>;
  /** Follows nothing any more. A client that is asked again begins again. */
  close(): void;
}

export interface FetchOptions {
  client?: Client;
  fetch?: typeof globalThis.fetch;
}

/** A `fetch` with the account's token. If the API refuses it, that is reported, and the request is repeated once with the new one. */
export declare function tokenFetch(account: string, options?: FetchOptions): typeof globalThis.fetch;

/** Why there is no token, or none for this. */
export declare class TokendError extends Error {
  /** The kind of failure, for programs: `login-required`. */
  readonly code: string;
  /** What to do about it, for people. */
  readonly advice: string | undefined;
  /** Trying again sooner than this many seconds from then gives the same answer. */
  readonly retryAfter: number | undefined;
  /** How `tokenctl` ends for the same reason. */
  readonly exitCode: number;
}
/** The daemon does not run, or its socket is somewhere else. */
export declare class Unreachable extends TokendError {}
/** Something else answers on the socket, or another release. */
export declare class ProtocolError extends TokendError {}
/** It may work later. */
export declare class TryLater extends TokendError {}
/** The policy refuses this program, or the system does not let it come to the socket. */
export declare class NotAllowed extends TokendError {}
/** Another user can have put the socket there. Nothing was sent. */
export declare class Untrusted extends TokendError {}
/** No account of this name is configured. */
export declare class UnknownAccount extends TokendError {}
/** The account's configuration cannot work as it is. */
export declare class Misconfigured extends TokendError {}
/** The token is not for this address, scope or audience. It was not sent. */
export declare class WrongUse extends TokendError {}
/** Only a person can help: `tokenctl login ACCOUNT`. */
export declare class LoginRequired extends TokendError {}
