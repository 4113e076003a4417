// Proxies of the environment.
//
// Owns whether one stands on the way to a URL, as the libraries that read these variables find it: rather one too many.

/** Whether the environment has a proxy for this URL. */
export function envProxy(url, environment = process.env) {
  const { protocol, hostname } = new URL(url);
  const value = (name) => environment[name] || environment[name.toUpperCase()] || "";
  if ((value(`${protocol.slice(0, -1)}_proxy`) || value("all_proxy")) === "") return false;
  const passed = value("no_proxy").toLowerCase().split(/[\s,]+/);
  return !passed.includes("*") && !passed.includes(hostname.replace(/^\[|\]$/g, ""));
}

/** Whether Node's own `fetch` goes by these variables. */
export function fetchUsesThem(environment = process.env, options = process.execArgv) {
  const given = `${environment.NODE_OPTIONS ?? ""} ${options.join(" ")}`;
  return environment.NODE_USE_ENV_PROXY === "1" || given.includes("--use-env-proxy");
}
