export { Client } from "./lib/client.js";
export {
  LoginRequired,
  Misconfigured,
  NotAllowed,
  ProtocolError,
  TokendError,
  TryLater,
  UnknownAccount,
  Unreachable,
  Untrusted,
  WrongUse,
} from "./lib/errors.js";
export { tokenFetch } from "./lib/fetch.js";
export { Token } from "./lib/token.js";
