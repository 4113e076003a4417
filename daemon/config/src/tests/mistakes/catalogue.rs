//! Files with mistakes, and what must be said about each.

/// An account without a mistake, before the lines under test.
pub(super) const ACCOUNT: &str = r#"[account.ads]
provider = "ad-verification"
base_url = "https://a.example"
username = "u"
"#;

/// Files, and the line, column and sentence of each mistake in them.
pub(super) const FILES: &[(&str, &[&str])] = &[
    (
        r#"sokcet = "/a""#,
        &[
            "1:1: unknown key `sokcet`; did you mean `socket`? valid here: `socket`, `state_dir`, `dialect_dir`, `include_dir`, `socket_mode`, `admin`, `defaults`, `group`, `listen`, `limits`, `log`, `audit`, `metrics`, `http`, `account`",
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
basurl = "https://a.example"
username = "u""#,
        &[
            r#"1:10: `base_url` is missing; add `base_url`: where the provider is, such as "https://api.example.com""#,
            "3:1: unknown key `basurl`; did you mean `base_url`? valid here: `provider`, `base_url`, `endpoint`, `login_path`, `refresh_path`, `options`, `allow`, `refresh`, `assumed_lifetime`, `pacing`, `proxy`, `api`, `issuer`, `username`, `password`, `client_id`, `client_secret`, `scope`, `fields`",
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
password = hunter2"#,
        &["3:12: string values must be quoted, expected literal string"],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
password = "hunter2"#,
        &[r#"3:20: invalid basic string, expected `"`"#],
    ),
    (
        r#"[account.ads]
provider = "ad-verfication"
base_url = "https://a.example""#,
        &[
            "2:12: there is no dialect `ad-verfication`; did you mean `ad-verification`? valid here: `ad-verification`, `client-credentials`, `firebase-accounts`, `jwt-api`, `oauth2`",
        ],
    ),
    (
        r#"[account.ads]
base_url = "https://a.example""#,
        &[
            "1:10: `provider` is missing; add `provider`: the name of a dialect; see `tokend dialect list`",
        ],
    ),
    (
        r#"[audit]
journal = "yes"
keep = 3
events = ["release", "denail"]"#,
        &[
            "2:11: expected true or false, found a string",
            "3:1: `keep` is about a file, and there is none; add `file`: where records go",
            "4:22: `denail` is nothing that is recorded; did you mean `denial`? valid here: `release`, `denial`, `failure`, `attempt`, `reject`, `refresh`, `login`, `forget`, `reload`, `start`, `stop`",
        ],
    ),
    (
        r#"[audit]
file = "a"
file_mode = "0644"
max_size = 10
journal = false"#,
        &[
            "3:13: unknown word `0644`; did you mean `0640`? valid here: `0600`, `0640`",
            "4:12: `10` is out of range; from 65536 to 1073741824 bytes",
        ],
    ),
    (
        r#"[metrics]
listen = "0.0.0.0:9464"
accounts = 1"#,
        &[
            "2:10: 0.0.0.0 can be reached from other machines, and metrics name accounts; use 127.0.0.1 or [::1], and a proxy of your own where another machine shall read them",
            "3:12: expected true or false, found an integer",
        ],
    ),
    (
        r#"[metrics]
listen = "localhost"
allow = []"#,
        &[
            "2:10: `localhost` is not a place to listen at; write a loopback address and a port, or `unix:` and a path: `127.0.0.1:9464`, \
             `[::1]:9464`, `unix:/run/tokend/metrics.sock`",
            "3:9: an empty list would allow nobody; name somebody, or leave the key out: then only administrators are allowed",
        ],
    ),
    (
        r#"[audit]
journal = false
required = true"#,
        &["3:1: records are required, and go nowhere; add `file`, or take `journal = false` away"],
    ),
    (
        "[account.ads]",
        &[
            "1:10: `provider` is missing; add `provider`: the name of a dialect; see `tokend dialect list`",
            r#"1:10: `base_url` is missing; add `base_url`: where the provider is, such as "https://api.example.com""#,
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
base_url = "https://a.example""#,
        &[r#"1:10: dialect `ad-verification` needs `username`; add `username = "..."`"#],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
base_url = "http://a.example"
username = "u""#,
        &[
            "3:12: `base_url` must begin with https://, since credentials are sent there; plain http:// is only for a loopback address: 127.0.0.1, [::1] or localhost",
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
base_url = "https://u:hunter2@a.example"
username = "u""#,
        &[
            "3:12: `base_url` must not hold a user name or password; write scheme, host and, if the API lives below one, a path: `https://api.example.com`",
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
base_url = "https://a.example/?a=1"
username = "u""#,
        &[
            "3:12: `base_url` must not hold a query or fragment; write scheme, host and, if the API lives below one, a path: `https://api.example.com`",
        ],
    ),
    (
        r#"[account.ads]
provider = "ad-verification"
base_url = "a.example"
username = "u""#,
        &[
            "3:12: `base_url` is not a URL: relative URL without a base; write scheme, host and, if the API lives below one, a path: `https://api.example.com`",
        ],
    ),
    (
        r#"[account.ads]
provider = "jwt-api"
base_url = "https://a.example"
username = "u"
endpoint = "postmann""#,
        &[
            "5:12: dialect `jwt-api` has no endpoint `postmann`; did you mean `postman`? valid here: `postman`",
        ],
    ),
    (
        r#"[account."a b"]
provider = "ad-verification""#,
        &[
            "1:10: account name may hold only ASCII letters, digits and . _ @ + -, not ' ' at byte 1",
        ],
    ),
    (
        r#"[account.a]
provider = "ad-verification"
base_url = "https://a.example"
username = "u"
[account.a]
provider = "x""#,
        &["5:10: account a is defined twice; it stands at DIR/tokend.toml:1:10 already"],
    ),
    (
        r#"[account.a]
provider = "ad-verification"
base_url = "https://a.example"
username = "u"
[account."a"]
provider = "x""#,
        &["5:10: account a is defined twice; it stands at DIR/tokend.toml:1:10 already"],
    ),
    (
        r#"[limits]
connections = 0
idle_timeout = "1ms"
frame_timeout = 5
conections = 1"#,
        &[
            "2:15: expected a whole number from 1 to 65536, found 0",
            "3:16: `1ms` is out of range; from 1s to 24h",
            r#"4:17: expected a duration in quotes, such as "90s", found an integer"#,
            "5:1: unknown key `conections`; did you mean `connections`? valid here: `connections`, `connections_per_user`, `requests_per_connection`, `idle_timeout`, `frame_timeout`, `command_timeout`",
        ],
    ),
    (
        r#"[log]
format = "xml"
level = "inof""#,
        &[
            "2:10: unknown word `xml`; valid here: `auto`, `human`, `journal`, `json`",
            "3:9: `inof` is not a log level; use error, warn, info, debug, trace or off, or directives such as `info,tokend=debug`",
        ],
    ),
    (
        r#"[http]
proxy = "http://u:hunter2@p"
max_body = "1TB"
extra_ca = "/nowhere.pem"
timeout = "0s""#,
        &[
            r#"2:9: a proxy's user name and password cannot stand in its URL; put the password in a file with mode 600 and write `proxy = { url = "http://proxy.example.com:3128", username = "...", password = { file = "/path/to/it" } }`"#,
            "3:12: `1TB` is not a size; write a number of bytes, or one with a unit: `65536`, `64KiB`, `1MiB`",
            "4:12: /nowhere.pem: No such file or directory (os error 2)",
            "5:11: `0s` is out of range; from 100ms to 1h",
        ],
    ),
    (
        r#"[http]
proxy = { url = "ftp://p", username = "a:b", password = "hunter2" }
no_proxy = ["example.com:443", "10.0.0.0/33", "ok.example.com"]"#,
        &[
            r#"2:17: `ftp://p` is not an address of a proxy; write scheme, host and port: `http://proxy.example.com:3128`; or "none" for no proxy"#,
            "2:39: a proxy's user name cannot hold a colon or a control character",
            r#"2:57: `password` must not stand in the configuration itself; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
            "3:13: `example.com:443` is not a host or network; write a host (`api.example.com`, which stands for the hosts below it too), an address, a network (`10.0.0.0/8`), or `*` for all; without scheme, port and path",
            "3:32: `10.0.0.0/33` is not a host or network; write a host (`api.example.com`, which stands for the hosts below it too), an address, a network (`10.0.0.0/8`), or `*` for all; without scheme, port and path",
        ],
    ),
    (
        r#"[http]
proxy = { url = "http://u:hunter2@p", password = { file = "/p" } }
no_proxy = "example.com""#,
        &[
            r#"2:17: a proxy's user name and password cannot stand in its URL; put the password in a file with mode 600 and write `proxy = { url = "http://proxy.example.com:3128", username = "...", password = { file = "/path/to/it" } }`"#,
            "2:39: a proxy's password needs a user name; add `username`",
            "3:12: expected an array, found a string",
        ],
    ),
    (
        r#"[http]
proxy = { username = "u", password = "hunter2" }"#,
        &[
            "2:9: `url` is missing; add `url`: where the proxy is",
            r#"2:38: `password` must not stand in the configuration itself; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
        ],
    ),
    (
        r#"socket_mode = "888""#,
        &[
            r#"1:15: `888` is not a mode of a socket; write it as chmod does, in quotes: "0666" for everybody, "0660" for owner and group"#,
        ],
    ),
    (
        r#"socket_mode = "0066""#,
        &[
            r#"1:15: with mode `0066` the daemon's own user could not connect; write it as chmod does, in quotes: "0666" for everybody, "0660" for owner and group"#,
        ],
    ),
    (
        "socket_mode = 438",
        &[r#"1:15: expected a mode in quotes, such as "0660", found an integer"#],
    ),
    (
        r#"include_dir = "nowhere"
socket = "~/x""#,
        &[
            "1:15: directory DIR/nowhere: No such file or directory (os error 2); create it, or leave the key out",
            "2:10: `~` is not expanded here; write the full path; `~` is the shell's",
        ],
    ),
    (
        r#"account = 5
log = []"#,
        &[
            "1:11: expected a table, found an integer",
            "2:7: expected a table, found an array",
        ],
    ),
    (
        "account.a = 5",
        &["1:13: expected a table, found an integer"],
    ),
    (
        r#"socket = "/a"
socket = "/b""#,
        &["2:1: duplicate key"],
    ),
];

/// Lines after [`ACCOUNT`], and the same.
pub(super) const ACCOUNTS: &[(&str, &[&str])] = &[
    (
        r#"password = "hunter2" # was hunter1"#,
        &[
            r#"5:12: `password` must not stand in the configuration itself; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
        ],
    ),
    (
        "password = 12345",
        &[
            r#"5:12: `password` must not stand in the configuration itself; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
        ],
    ),
    (
        r#"admin = [{ user = "root" }]"#,
        &[
            "5:1: unknown key `admin`; `admin` belongs at the top of the configuration, above its first `[table]`",
        ],
    ),
    (
        r#"issuer = "id.example.com""#,
        &[
            "5:10: `id.example.com` is not the address of an issuer: write it with https://, as in https://api.example.com/v1",
        ],
    ),
    (
        r#"issuer = "https://*.example.com""#,
        &["5:10: an issuer has no `*`"],
    ),
    (
        r#"api = { urls = "api.example.com" }"#,
        &[
            "5:16: `api.example.com` is not the address of an API: write it with https://, as in https://api.example.com/v1; write `https://HOST/PATH`, or `/PATH` for what is behind `base_url`",
        ],
    ),
    (
        r#"api = { urls = ["/v1", "http://api.example.com"], presents = {} }"#,
        &[
            "5:24: `http://api.example.com` is not the address of an API: plain http:// is only for a loopback address: 127.0.0.1, [::1] or localhost; write `https://HOST/PATH`, or `/PATH` for what is behind `base_url`",
            "5:51: unknown key `presents`; did you mean `present`? valid here: `present`, `urls`",
        ],
    ),
    (
        r#"pasword = "hunter2""#,
        &[
            "5:1: unknown key `pasword`; did you mean `password`? valid here: `provider`, `base_url`, `endpoint`, `login_path`, `refresh_path`, `options`, `allow`, `refresh`, `assumed_lifetime`, `pacing`, `proxy`, `api`, `issuer`, `username`, `password`, `client_id`, `client_secret`, `scope`, `fields`",
        ],
    ),
    (
        r#"password = { vault = "hunter2" }"#,
        &[
            "5:14: unknown key `vault`; valid here: `credential`, `file`, `env`, `command`, `whole`, `mode`",
        ],
    ),
    (
        r#"password = { file = "hunter2", env = "A" }"#,
        &[
            r#"5:12: a reference to a secret names exactly one place; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
        ],
    ),
    (
        r#"password = { whole = true }"#,
        &[
            r#"5:12: a reference to a secret names exactly one place; put it in a file with mode 600 and write `password = { file = "/path/to/it" }`, or use `{ credential = ... }`, `{ env = ... }` or `{ command = [...] }`"#,
        ],
    ),
    (
        r#"password = { file = "a", moed = "as-mounted" }"#,
        &[
            "5:26: unknown key `moed`; did you mean `mode`? valid here: `credential`, `file`, `env`, `command`, `whole`, `mode`",
        ],
    ),
    (
        r#"password = { file = "a", mode = "0440" }"#,
        &["5:33: unknown word `0440`; valid here: `as-mounted`"],
    ),
    (
        r#"password = { env = "A", mode = "as-mounted" }"#,
        &["5:32: only a file has a `mode`; leave it out"],
    ),
    (
        r#"password = { command = ["pass"], whole = "yes" }"#,
        &["5:42: expected true or false, found a string"],
    ),
    (
        r#"password = { credential = "../hunter2" }"#,
        &[
            "5:27: this is not the name of a credential; use the name given in LoadCredential=NAME:PATH",
        ],
    ),
    (
        r#"password = { env = "$hunter2" }"#,
        &[
            "5:20: this is not the name of an environment variable; write the variable's name, without `$`: letters, digits and `_`",
        ],
    ),
    (
        r#"password = { command = "echo hunter2" }"#,
        &[
            r#"5:24: a command is a list, since no shell runs it; write the program and its arguments as a list: `["pass", "show", "ads"]`"#,
        ],
    ),
    (
        r#"password = { command = ["bin/get", "hunter2"] }"#,
        &[
            "5:24: the path of the program is relative; write its full path, or only its name to look it up on $PATH",
        ],
    ),
    (
        r#"client_secret = { env = "A" }"#,
        &[
            "5:1: dialect `ad-verification` has no use for `client_secret`; valid here: `username`, `password`",
        ],
    ),
    (
        r#"refresh_token = { file = "hunter2" }"#,
        &[
            "5:1: a refresh token cannot stand in the configuration, since each use of it may bring another in its place; enter the first one with `tokenctl login ads --refresh-token`; the daemon keeps the newer ones",
        ],
    ),
    (
        r#"refresh_token = "hunter2"
refresh_tokn = "hunter2""#,
        &[
            "5:1: a refresh token cannot stand in the configuration, since each use of it may bring another in its place; enter the first one with `tokenctl login ads --refresh-token`; the daemon keeps the newer ones",
            "6:1: unknown key `refresh_tokn`; did you mean `refresh`? valid here: `provider`, `base_url`, `endpoint`, `login_path`, `refresh_path`, `options`, `allow`, `refresh`, `assumed_lifetime`, `pacing`, `proxy`, `api`, `issuer`, `username`, `password`, `client_id`, `client_secret`, `scope`, `fields`",
        ],
    ),
    (
        r#"fields = { refresh_token = "hunter2" }"#,
        &[
            "5:12: a refresh token cannot stand in the configuration, since each use of it may bring another in its place; enter the first one with `tokenctl login ads --refresh-token`; the daemon keeps the newer ones",
        ],
    ),
    (
        r#"[account.partner]
provider = "client-credentials"
base_url = "https://a.example"
client_id = "c"
refresh_token = { file = "hunter2" }"#,
        &["9:1: dialect `client-credentials` has no use for `refresh_token`; take it out"],
    ),
    (
        r#"refresh = "allways""#,
        &[
            "5:11: unknown word `allways`; did you mean `always`? valid here: `auto`, `always`, `on-demand`",
        ],
    ),
    (
        r#"allow = [{ user = "de:ploi" }, { group = "-1" }]"#,
        &[
            "5:19: there is no user `de:ploi` on this machine; create the user first, or correct its name; reload after changes",
            "5:42: there is no group `-1` on this machine; create the group first, or correct its name; reload after changes",
        ],
    ),
    (
        r#"allow = ["root"]"#,
        &[
            r#"5:10: expected a rule, found a string; write `{ user = "deploy" }`, `{ group = "ci" }` or `{ unit = "backup.service" }`"#,
        ],
    ),
    (
        "allow = []",
        &[
            "5:9: an empty list would allow nobody; name somebody, or leave the key out: then only the daemon's own user is allowed",
        ],
    ),
    (
        r#"allow = { user = "root" }"#,
        &[r#"5:9: expected an array, found a table; write a list: `[{ user = "deploy" }]`"#],
    ),
    (
        r#"[account.ads.pacing]
attempts = { burst = 0, every = "1x" }
logins = "1/m"
host = { burst = 1000000, every = "31d" }
attemps = 1"#,
        &[
            "6:22: expected a whole number from 1 to 1000000, found 0",
            "6:33: `1x` is not a duration; write a number and a unit: `500ms`, `90s`, `45m`, `1h 30m`, `7d`",
            r#"7:10: expected a rate, found a string; write `{ burst = 5, every = "1m" }`: five at once, then one a minute"#,
            "8:8: a full burst would take longer than ten years to come back; make the burst smaller or the period shorter",
            "9:1: unknown key `attemps`; did you mean `attempts`? valid here: `attempts`, `logins`, `host`, `host_in_flight`",
        ],
    ),
    (
        r#"[account.ads.options]
refresh_kee = "a""#,
        &[
            "6:15: dialect `ad-verification` has no option `refresh_kee`; did you mean `refresh_key`? valid here: `refresh_key`, `grant_type`",
        ],
    ),
    (
        r#"[account.ads.options]
password = "hunter2""#,
        &[
            "6:12: dialect `ad-verification` has no option `password`; valid here: `refresh_key`, `grant_type`",
        ],
    ),
    (
        r#"[account.ads.options]
password = ["hunter2"]"#,
        &["6:12: expected a string, found an array"],
    ),
];
