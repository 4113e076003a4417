import type { Client } from "./index.js";

/** What is used of an axios instance. */
export interface Instance {
  getUri(config?: object): string;
  request(config: object): Promise<unknown>;
  interceptors: { request: object; response: object };
}

/** Adds the account's token to the requests of an axios instance; what it returns takes it away again. */
export declare function attach(instance: Instance, account: string, options?: AttachOptions): () => void;

export interface AttachOptions {
  client?: Client;
  /** `axios.VERSION`, where this package cannot import axios by itself: it matters behind a proxy. */
  version?: string;
}
