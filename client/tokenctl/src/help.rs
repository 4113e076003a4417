//! The texts of `--help`.
//!
//! Owns words only. What they promise about formats and exit codes is tested.

pub(crate) const ABOUT: &str = "Ask tokend, the local token broker, for access tokens";

pub(crate) const AFTER: &str = "\
Examples:
  tokenctl init                                   describe a first account, by a few questions
  tokenctl get ads                                print a token that is valid now
  tokenctl get ads --format curl | curl -fsS -K - URL
                                                  call an API with it; for scripts see `get --help`
  vars=$(tokenctl get ads --format env) && eval \"$vars\"
                                                  export it as ACCESS_TOKEN
  printf %s \"$TOKEN\" | tokenctl reject ads        an API refused this token
  tokenctl watch ads                              print each newer token as it comes
  tokenctl status                                 the state of every account
  tokenctl status --watch                         the same, kept up to date
  tokenctl doctor                                 what is wrong, and what to do about it
  tokenctl integrate                              how kubectl, npm, pip and others get their token

Socket: --socket, else $TOKEND_SOCKET, else the first that exists of
  $XDG_RUNTIME_DIR/tokend/tokend.sock,
  /run/user/UID/tokend/tokend.sock and /run/tokend/tokend.sock; `whoami` shows which daemon answers

Durations: 500ms, 90s, 45m, 1h 30m (or 1h30m), 7d; at most 30 days

Exit codes:
   0  done
   1  helper docker: there is no credential; standard output says why
  22  request: the API answered with HTTP 400 or above
  64  the command line is wrong
  69  the daemon cannot be reached
  70  a defect, or something else answers on the socket
  74  reading or writing failed (without a message if the reader of the output went away)
  75  try again later; standard error says when, if that is known
  77  not allowed, or there is no such account that you may use
  78  the configuration is wrong, or names no such account
  79  login required: a person has to help, as standard error says, mostly by `tokenctl login`
 126  exec, watch --exec: the command cannot be run
 127  exec, watch --exec: the command is not found

Each error is one line that says what happened and indented lines that say what to do. An error
that only a newer tokenctl knows ends with 75 and prints tokend's own message and advice. Tokens
are printed on standard output only, and only when requested.";

pub(crate) const GET: &str = "Print an access token that is valid now, obtained first if necessary";

pub(crate) const GET_AFTER: &str = "\
Formats:
  plain       the token and a line end
  header      Authorization: Bearer TOKEN, or the header that the account's dialect names for its
              API
  json        {\"access_token\", \"token_type\", \"expires_at\", \"expires_in\", \"scope\", \"daemon\"}:
              expires_at after RFC 3339, expires_in in seconds; null if unknown; daemon {\"socket\",
              \"uid\"} is the one that answered, uid the user who opened its socket (0 under
              systemd)
  json-headers
              {\"Authorization\": \"Bearer TOKEN\"}, for programs that run a command for the
              headers of their requests
  env         export ACCESS_TOKEN='TOKEN', quoted for the shell; another name with --env-name
  dotenv      ACCESS_TOKEN=TOKEN for a file of variables (systemd, Docker, dotenv), quoted only if
              it must be
  curl        a configuration for `curl -K -`: the token in the header, cookie or query parameter
              of its API
  netrc       machine HOST login oauth2 password TOKEN; HOST with --machine, another login with
              --user
  xoauth2     the base64 text of SASL XOAUTH2 for the mailbox of --user
  kubernetes  an ExecCredential for kubectl, in the version that KUBERNETES_EXEC_INFO names, else v1
  github      masks the token in the log of a GitHub Actions step, and sets ACCESS_TOKEN for the
              steps after it
A token with characters that a format cannot hold is refused with 70, and nothing is printed.

A FILE of --output is replaced at once: readers see the file before or the new one, and it has its
permissions and owner before its content. A symbolic link in its place is refused. It is not kept
up to date.

Examples:
  tokenctl get ads --format curl | curl -fsS -K - URL
  tokenctl get ads --min-validity 10m      valid for at least ten more minutes
  tokenctl get ads --wait 2m               wait up to two minutes if the rate limit is reached
  tokenctl get ads --output /run/report/token --mode 640 --owner report

Every local user can read the arguments of a program, so never put a token into them. In a script,
this form starts curl only when there is a token, and ends with the exit code of tokenctl when
there is none:
  curlrc=$(tokenctl get ads --format curl) && printf '%s\\n' \"$curlrc\" | curl -fsS -K - URL
As one pipeline, it takes `set -o pipefail` to notice that tokenctl failed:
  set -o pipefail; tokenctl get ads --format curl | curl -fsS -K - URL";

pub(crate) const EXEC: &str = "Run a command with access tokens in its environment or in files";

pub(crate) const EXEC_AFTER: &str = "\
Every token is obtained first: if one fails, the command is not started, and the exit code is that
of `get`. Then this process becomes the command, so signals, the terminal and the exit status are
its own. A command that is not found ends with 127, one that cannot be run with 126.

With --fd the variable (ACCESS_TOKEN_FILE if none is named) holds a path such as /dev/fd/3, from
which the command and the programs it starts read the token. Other users cannot read it, and it is
gone when those programs end.

In both cases the command keeps the token of its start. A command that runs longer than a token
lives needs --file: the variable (ACCESS_TOKEN_FILE if none is named) holds the path of a file that
has the newest token, whole and without a line end. The command reads it again before each use;
a process beside the command keeps it up to date. While there is no usable token, there is no file:
after the token expired, after an API refused it, or when your right to it was taken away. Standard
error says why, and the command goes on. A restart of tokend does no harm.

Only you can read the files. Their directory is on tmpfs: in the first of $XDG_RUNTIME_DIR,
/run/user/UID and /dev/shm in which other users cannot change it. They are removed when the process
that was started ends, however it ends, so a program that goes to the background loses them. If the
process beside the command is killed, the next `exec --file` removes them first.

With --as the command's SDK of a cloud asks an endpoint that is there for it alone while it runs,
and gets the newest token each time; see `tokenctl endpoint --help` for the kinds and for --for.
NO_PROXY gets the endpoint's address too, and variables that the SDK would prefer to the endpoint,
such as AZURE_CLIENT_SECRET, are taken out. For external-account, GOOGLE_APPLICATION_CREDENTIALS
names the configuration that gcloud made.

Examples:
  tokenctl exec ads -- ./report
  tokenctl exec ads=ADS_TOKEN crm=CRM_TOKEN --min-validity 10m -- ./compare --all
  tokenctl exec --fd ads -- sh -c './report --token-file \"$ACCESS_TOKEN_FILE\"'
  tokenctl exec --file ads=ADS_TOKEN_FILE -- ./server
  tokenctl exec --as azure --for https://api.example.com ads -- ./server";

pub(crate) const WATCH: &str = "Print an account's token, and each newer one as it comes";

pub(crate) const WATCH_AFTER: &str = "\
Prints the token that is valid now, then one line for each newer token. While it runs, the token
is renewed before it expires, within the rate limit. Everything else goes to standard error: that
there is no token at present and why, that a token must not be used any more, that tokend is away.
A restart of tokend does not end it.

With --json one object a line on standard output, with event and account:
  token         access_token, token_type, expires_at (RFC 3339, null if unknown)
  retired       the token before must not be used any more: it has expired, or an API refused it
  unavailable   code, message, advice: there is no token at present; one follows when there is
  reconnecting  message: tokend is away; the token before stays in use until it expires
A key or event that is not listed here is one of a newer tokenctl: ignore it.

With --exec the command runs for each new token, with ACCESS_TOKEN, TOKEND_ACCOUNT and
TOKEND_EXPIRES_AT (RFC 3339) in its environment. One runs at a time; of the tokens that come
meanwhile only the newest gets its turn. A command that fails is reported on standard error, and
the watch goes on.

It ends when the right to the token is taken away (77), when the account is removed (77 or 78),
when tokens never live as long as --min-validity (78), when the reader of the output has gone
(74), and by SIGINT or SIGTERM as any program; a command that runs then is not stopped.

Examples:
  tokenctl watch ads --exec systemctl --user reload feed
  tokenctl watch ads --json | while read -r line; do ...; done";
pub(crate) const REQUEST: &str =
    "Make an HTTP request with the token of the account that the URL belongs to";

pub(crate) const REQUEST_AFTER: &str = "\
The account is the one whose addresses (`urls` in [api] of its dialect or of the account) cover
the URL most closely. If no account covers it, no request is made (78); if two cover it alike,
--account says which one (64). The token is sent encrypted, or over http:// within this machine. It
is not sent after a redirect: the answer is printed, with a note where it leads. Certificates are
checked against the authorities of the system, or of SSL_CERT_FILE. HTTPS_PROXY, ALL_PROXY and
NO_PROXY apply.

An answer that refuses the token, by the rules of the dialect, is reported, and the request is
sent once more with the newer token. Answers below 400 are looked at too, if their Content-Length
is at most 16 KiB. A body from standard input or a pipe cannot be sent again once a part of it was
sent: the command ends with 75, and the next run uses the newer token. The second answer is final.

The answer's body goes to standard output, or to a FILE, as it comes, whatever its status. A FILE
that was not there before is made when the answer comes. On a terminal, control characters are
shown as `?`; elsewhere every byte is kept. --wait and --timeout limit the time for the token,
--max-time that for the API; without it, 30s to connect and 5m of silence.

Exit codes, beside those of `get` when there is no token: 22 for HTTP 400 and above, 70 for an
answer that is not HTTP, 74 for a file that cannot be read or written, 75 for what may pass (host
name, connection, time limit, an answer that breaks off), 78 for TLS and a URL that is not the
account's.

Examples:
  tokenctl request GET https://api.example.com/v1/reports
  tokenctl request POST https://api.example.com/v1/reports --json -d @report.json
  tokenctl request GET https://api.example.com/v1/dump -o dump.bin --max-time 1h";

pub(crate) const SINK: &str =
    "Keep a file with an account's token fresh, for a program that reads files";

pub(crate) const SINK_AFTER: &str = "\
Writes the token to a file, replaces it with a newer one before it expires, and removes the file
when its token has expired, was refused, or is no longer yours to use. Run it as the user whose
program reads the file, by systemd as tokend-sink@NAME.service or by hand. A sink that is stopped
removes its file; a restart of the unit leaves it to the next start, which keeps it only if tokend
says that it holds the current token.

Its configuration is NAME.toml in $XDG_CONFIG_HOME/tokend/sinks.d or /etc/tokend/sinks.d:
  account       whose token
  path          the file, in full, in a directory of that user alone, through no symbolic link
  format        raw (default), header, json, env, dotenv, curl, netrc, envoy-sds, template
  mode, group   600 (default), 640 (default with a group), 400 or 440; the group that may read the
                file
  min_validity  how long each token must still live when it comes
  wlcg          true: the file $XDG_RUNTIME_DIR/bt_uUID of WLCG's discovery, in place of path
  on_change     { command = [..] }, { reload = \"UNIT\" }, { signal = \"HUP\", unit = \"UNIT\" } or
                { signal = \"HUP\", pid_file = \"PATH\" }: done as that user for each new token,
                and once at the start, for at most 30 s

It ends when the right to the token is taken away or the account is removed (77 or 78), with a
mistake in its configuration (78), and if another sink keeps its file (75).
The keys of each format are in tokenctl(1).

Examples:
  tokenctl sink --check
  tokenctl sink --file ./ads.toml";

pub(crate) const ENDPOINT: &str =
    "Serve an account's token to an SDK of a cloud, in the protocol that it speaks";

pub(crate) const ENDPOINT_AFTER: &str = "\
A program that uses such an SDK gets tokens of tokend without a change. To run one program, use
`tokenctl exec --as KIND`, which does all of this. For a service, run this as the same user, by
systemd as tokend-endpoint@NAME.service or by hand: it writes the variables by which the SDK finds
it to the file `environment` in DIRECTORY, which has to be that user's alone (mode 700), for
EnvironmentFile= of the service. It listens on the socket that systemd passes, or at --listen, and
only on this machine's own addresses.

Kinds:
  azure             the identity endpoint of Azure App Service, for azure-identity; PURPOSE is a
                    resource, such as https://api.example.com
  gce               Google's metadata server, for google-auth and others; PURPOSE is a scope
  external-account  the source of an `external_account` of Google's SDKs, which exchange the
                    token; --credentials names the configuration that gcloud made

Only programs of the same user are served: the kernel says whose a connection is. azure and
external-account demand a secret as well, which is in the variables. Each token is asked of tokend
when an SDK asks for one, so your right decides each time. A resource or scope is refused unless
it was named with --for, is at an address of the account's urls ([api]), or was granted by the
provider. What an SDK repeats by itself is answered with 503 (later), everything else with 403;
the answer says why.

Examples:
  tokenctl endpoint azure ads --directory ~/ads --listen 127.0.0.1:0 --for https://api.example.com
  tokenctl exec --as azure --for https://api.example.com ads -- ./report";

pub(crate) const STATUS: &str = "Show the state of accounts, their rate limits and their problems";

pub(crate) const STATUS_AFTER: &str = "\
On a terminal: a table, or with ACCOUNT everything about that account. Otherwise one line for each
account, with these columns separated by tabs, `-` where there is nothing to say, and no heading:
  1 account         2 state            3 seconds until the token expires   4 when (RFC 3339)
  5 attempts left   6 logins left      7 next attempt (RFC 3339)           8 code of the problem
With --json an array of objects; times after RFC 3339, durations in the unit of their name,
expires_in in seconds. With --watch the table stays on the terminal and is kept up to date;
accounts that need attention come first. A restart of the daemon does not end it; q or Ctrl-C
does.

States: idle, valid, obtaining, backing-off, paced, login-required, misconfigured, in-doubt,
unpersisted, quarantined. A state or code of a newer tokend, which this tokenctl does not know, is
other-NUMBER; its message and advice are printed as they come.";

pub(crate) const LIST: &str = "List the accounts you may use";

pub(crate) const LIST_AFTER: &str = "\
One line for each account: its name and its dialect, separated by a tab unless on a terminal.
With --json an array of {\"account\", \"dialect\"}.";

pub(crate) const WHOAMI: &str = "Show what the daemon sees of you, and what you may do";

pub(crate) const WHOAMI_AFTER: &str = "\
Facts that rules of the configuration can match: user, groups, systemd units, the calling program
and its SHA-256. They are the facts of this very process, so run it where your program runs: in
its unit and as its user. A fact that could not be read matches no rule, and the reason is shown.

With --json an object: uid, user, gid, group, pid, groups, more_groups, unit, user_unit,
user_unit_owner, executable, executable_is_there, sha256, nested_pid_namespace,
other_user_namespace, unread, administrator, may, daemon, which is the one that answered:
{\"socket\", \"uid\"}.";

pub(crate) const REFRESH: &str =
    "Obtain a new token even if the old one is still valid, within the rate limit";

pub(crate) const REJECT: &str = "Report that an API refused a token, and obtain a newer one";

pub(crate) const REJECT_AFTER: &str = "\
The token is read from standard input, never from an argument; on a terminal it is not echoed. It
is one line; trailing line ends are removed. If it is no longer the current token, nothing is
obtained.

Example:
  printf %s \"$TOKEN\" | tokenctl reject ads --print";

pub(crate) const RELOAD: &str = "Make the daemon read its configuration again";

pub(crate) const METRICS: &str = "Print the daemon's metrics as Prometheus text";

pub(crate) const METRICS_AFTER: &str = "\
For administrators, and for peers that `allow` in [metrics] names. With `listen` the daemon serves
the same over HTTP.

Example, for the textfile collector of the node exporter:
  tokenctl metrics > tokend.prom.new && mv tokend.prom.new tokend.prom";

pub(crate) const LOGIN: &str =
    "Enter a credential for an account; the daemon's store keeps it sealed";

pub(crate) const LOGIN_AFTER: &str = "\
On a terminal the credential is typed without echo; otherwise it is read from standard input,
never from an argument. It is one line: a line end and a byte order mark are removed, more lines
are refused unless the dialect says that the field may have several, such as a key.

Without an option it asks for every secret that is missing, or else for the first that was entered
before. From standard input it reads a line for each.

It is sent only to a daemon of root or of your own, or through a socket that only root or you can
have made; otherwise the command ends with 77.

Examples:
  tokenctl login ads
  tokenctl login ads --field private_key < key.pem
  pass show ads/refresh-token | head -n 1 | tokenctl login ads --refresh-token";

pub(crate) const FORGET: &str =
    "Delete the tokens and the credential stored for an account; its rate limits stay in force";

pub(crate) const HELPER: &str = "Answer a program that asks for a credential in its own protocol";

pub(crate) const HELPER_AFTER: &str = "\
A token goes only to an address that its account is for: urls below [account.NAME.api] or in its
dialect. Asked about any other address, the helper says nothing, and the calling program goes on
as if there were none. If an address has an account and there is no token, standard error says
why, and the calling program ends.

git   Started by git under the name git-credential-tokenctl; `git config credential.helper` names
      it `tokenctl`, with options where they are needed:
        git config --global --replace-all credential.https://git.example.com.helper ''
        git config --global --add credential.https://git.example.com.helper tokenctl
        (the first line turns other helpers off for this address; `tokenctl --account ads` in the
        second names the account)
      git 2.46 and later send the token as a bearer token unless the server asks for a password
      only; otherwise it is the password of --user. A token that the server refuses is reported;
      the next git command gets a new one.

docker
      Started by docker, podman and skopeo under the name docker-credential-tokenctl;
      ~/.docker/config.json names it (podman and skopeo read the same in
      ~/.config/containers/auth.json):
        {\"credHelpers\": {\"registry.example.com\": \"tokenctl\"}}
      The token is the password of --user. docker passes no options; a script of another name can:
        exec tokenctl helper docker --account ads --user oauth2accesstoken \"$@\"
      Errors are on standard output too, with exit code 1. docker does not say that a token was
      refused: report it with `tokenctl reject`.

cargo Started by cargo under the name cargo-credential-tokenctl; its config.toml names it for a
      registry:
        credential-provider = \"cargo-credential-tokenctl\"
      (options: [\"cargo-credential-tokenctl\", \"--account\", \"ads\"]). `cargo login` and `logout`
      do nothing here.

terraform
      Started by terraform and tofu under the name terraform-credentials-tokenctl in
      ~/.terraform.d/plugins; ~/.terraformrc names it: credentials_helper \"tokenctl\" {}

keyring
      Started by pip and uv under the name keyring, where such a link is in PATH, to get the
      password of an index:
        keyring get URL USER, keyring --mode creds get URL";

pub(crate) const DOCTOR: &str = "Check everything between you and a token, and say what to do";

pub(crate) const DOCTOR_AFTER: &str = "\
Checks the socket, the daemon and its unit, your rights, the clock, the store, the configuration
on disk, and for each account its state, its secrets, and whether the daemon can reach its
provider: name, TCP and TLS certificate, without asking it for a token. Names files with tokens
that killed processes of tokenctl left. Changes nothing, uses up no rate limit, and runs no
command that fetches a secret. Administrators see all accounts; others see those they may use, and
not where secrets come from.

Each line is ok, a warning, or a PROBLEM with what to do below it. Exits with 0 if there is no
problem, else with the code of the first: 69 daemon not reachable, 75 provider, store or daemon,
77 not allowed, 78 configuration or secrets, 79 login required.

With --json an array of {\"topic\", \"account\", \"severity\", \"message\", \"advice\"}; severity is
ok, warning or problem. A topic or severity of a newer tokend, which this tokenctl does not know,
is other-NUMBER or warning.";

pub(crate) const INIT: &str = "Describe an account for the daemon, after a few questions";

pub(crate) const INIT_AFTER: &str = "\
Asks what no option says, shows what it would write, has `tokend check` look at it, and only then
puts it in place: the account into accounts.d/ACCOUNT.toml beside the configuration, and the
configuration itself if there is none. As root that is /etc/tokend/tokend.toml, else
$XDG_CONFIG_HOME/tokend/tokend.toml. No file is ever overwritten. Then it offers to start the
daemon or to have it read the configuration, asks for the credential as `login` does, and tries it
by obtaining one token. Run it again with the same account to go on where it stopped.

Without a terminal nothing is asked: an answer that no option gives is a usage error, which names
the option.
--yes writes without asking, --start and --try go on without asking. A secret is never an option:
--secret says where it comes from.
  login                 `tokenctl login` asks for it, and the store keeps it sealed
  file:PATH             a file that only the daemon's user or root can read
  command:WORD ...      a command that prints it, run without a shell
  credential:NAME       a systemd credential of the daemon's unit
  env:NAME              a variable of the daemon's environment

Examples:
  tokenctl init
  sudo tokenctl init --account ads --dialect ad-verification --base-url https://ads.example.com \\
      --username you@example.com --secret file:/etc/tokend/secrets/ads --allow deploy \\
      --yes --start --try
  tokenctl init --account id --dialect oauth2 --token-url https://id.example.com/oauth/token \\
      --option grant=client_credentials --client-id my-client --secret login";

pub(crate) const LOGS: &str = "Show what happened with an account: attempts, releases and denials";

pub(crate) const LOGS_AFTER: &str = "\
Each line is an audit record: local time, what, with what result, by whom (user, unit, program,
process), and by which rule; the newest last. At most 10000 are shown. With --json one object a
line, with the fields of the audit records.

Without --file it reads the journal of the daemon that answers: your own, or the system's, which
takes root or the group systemd-journal. With --file it reads that audit file, the file of denials
beside it, and the rotated files of both.

Examples:
  tokenctl logs ads --since 2h
  tokenctl logs ads --follow --file /var/log/tokend/audit.jsonl";

pub(crate) const INTEGRATE: &str = "Print the lines that let another program use a token";

pub(crate) const INTEGRATE_AFTER: &str = "\
Without NAME it lists the programs. With NAME it prints the lines on standard output, with the
account's name in them, and says on standard error which file they belong in and what they need.
Replace names such as api.example.com. No line puts a token where other users can read it.

Examples:
  tokenctl integrate
  tokenctl integrate msmtp mail >> ~/.msmtprc";

#[cfg(test)]
mod tests {
    #[test]
    fn no_line_is_broken_again_where_it_is_printed() {
        for line in include_str!("help.rs").lines() {
            let shown = line.replace("\\\"", "\"");
            // clap breaks a longer line in two and leaves the next one alone.
            assert!(shown.chars().count() <= 100, "{line}");
        }
    }
}
