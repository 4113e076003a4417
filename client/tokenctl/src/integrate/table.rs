//! The consumers, and what each of them needs.
//!
//! Owns one table. No line may put a token into an argument, where every local user reads it; each line must fail, and start nothing,
//! when there is no token. `ACCOUNT` stands for the account and for nothing else. A test executes every entry.

/// A program that uses tokens.
pub(super) struct Consumer {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// What one gets by it.
    pub(super) about: &'static str,
    /// What must be there first, and what to replace.
    pub(super) needs: &'static str,
    /// The files with the lines that go there.
    pub(super) parts: &'static [(&'static str, &'static str)],
}

/// Where an account is told what its token is for.
const CONFIGURATION: &str = "the daemon's configuration, unless the account's dialect says it";

/// All of them, by name.
pub(super) const TABLE: &[Consumer] = &[
    Consumer {
        name: "ansible",
        about: "a task that asks an API with the token",
        needs: "tokenctl on the control node; replace the address",
        parts: &[(
            "a list of tasks",
            r#"- name: Ask the API
  ansible.builtin.uri:
    url: https://api.example.com/
    headers:
      Authorization: "Bearer {{ lookup('ansible.builtin.pipe', 'tokenctl get ACCOUNT') }}"
  no_log: true
"#,
        )],
    },
    Consumer {
        name: "aws",
        about: "the AWS CLI and SDKs in a role, with the token as web identity",
        needs: "a token that is a JWT of an identity provider which the role trusts; replace role and program",
        parts: &[(
            "a shell script",
            r#"export AWS_ROLE_ARN=arn:aws:iam::123456789012:role/report
tokenctl exec --file ACCOUNT=AWS_WEB_IDENTITY_TOKEN_FILE -- aws sts get-caller-identity
"#,
        )],
    },
    Consumer {
        name: "cargo",
        about: "crates of a registry that takes the token",
        needs: "cargo 1.74 or newer; replace the name and the host, in both files alike",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://cargo.example.com\"\n",
            ),
            (
                "~/.cargo/config.toml",
                r#"[registries.example]
index = "sparse+https://cargo.example.com/index/"
credential-provider = "cargo-credential-tokenctl"
"#,
            ),
        ],
    },
    Consumer {
        name: "claude-code",
        about: "Claude Code with the token as its API key",
        needs: "a token that lives longer than five minutes, since Claude Code keeps it so long",
        parts: &[(
            "~/.claude/settings.json",
            r#"{ "apiKeyHelper": "tokenctl get ACCOUNT --min-validity 5m" }
"#,
        )],
    },
    Consumer {
        name: "claude-mcp",
        about: "an MCP server that takes the token, in Claude Code",
        needs: "a token that outlives the session, since Claude Code asks again only when it connects; replace the address",
        parts: &[(
            ".mcp.json",
            r#"{
  "mcpServers": {
    "example": {
      "type": "http",
      "url": "https://mcp.example.com/",
      "headersHelper": "tokenctl get ACCOUNT --format json-headers"
    }
  }
}
"#,
        )],
    },
    Consumer {
        name: "cron",
        about: "a job with the token in ACCESS_TOKEN",
        needs: "tokenctl in /usr/bin, where cron looks; replace the program",
        parts: &[(
            "the crontab of the user who may have the token",
            "*/10 * * * * tokenctl exec ACCOUNT -- /usr/local/bin/report\n",
        )],
    },
    Consumer {
        name: "curl",
        about: "a request with the token",
        needs: "nothing else; replace the address",
        parts: &[(
            "a shell script",
            r#"curlrc=$(tokenctl get ACCOUNT --format curl) &&
  printf '%s\n' "$curlrc" | curl -fsS -K - https://api.example.com/
"#,
        )],
    },
    Consumer {
        name: "docker",
        about: "docker login with the token as password",
        needs: "a registry that takes it; docker keeps it in its config.json; replace user name and host",
        parts: &[(
            "a shell script",
            r#"token=$(tokenctl get ACCOUNT) &&
  printf %s "$token" | docker login --username oauth2 --password-stdin registry.example.com
"#,
        )],
    },
    Consumer {
        name: "docker-helper",
        about: "docker, podman and skopeo at a registry that takes the token as password",
        needs: "podman and skopeo read it in ~/.config/containers/auth.json; replace the host, in both files alike",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://registry.example.com\"\n",
            ),
            (
                "~/.docker/config.json",
                r#"{ "credHelpers": { "registry.example.com": "tokenctl" } }
"#,
            ),
        ],
    },
    Consumer {
        name: "git",
        about: "git at a server that takes the token",
        needs: "nothing else; replace the host everywhere",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://git.example.com\"\n",
            ),
            (
                "a shell",
                r#"git config --global --replace-all credential.https://git.example.com.helper ''
git config --global --add credential.https://git.example.com.helper tokenctl
"#,
            ),
        ],
    },
    Consumer {
        name: "github-actions",
        about: "the token masked in the log, and in API_TOKEN for the steps that follow",
        needs: "a runner of your own on a machine with tokend",
        parts: &[(
            "the steps of a job in .github/workflows",
            "      - run: tokenctl get ACCOUNT --format github --env-name API_TOKEN\n",
        )],
    },
    Consumer {
        name: "go",
        about: "a program in Go that asks an API with the token",
        needs: "Go 1.19 or newer; replace the address",
        parts: &[(
            "main.go",
            r#"package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

func main() {
	ask := exec.Command("tokenctl", "get", "ACCOUNT")
	ask.Stderr = os.Stderr
	token, err := ask.Output()
	if err != nil {
		log.Fatal("no token: ", err)
	}
	request, err := http.NewRequest("GET", "https://api.example.com/", nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		log.Fatal(answer.Status)
	}
	io.Copy(os.Stdout, answer.Body)
}
"#,
        )],
    },
    Consumer {
        name: "httpie",
        about: "a request with the token",
        needs: "HTTPie 3.0 or newer, and bash; replace the address",
        parts: &[(
            "a bash script",
            r#"token=$(tokenctl get ACCOUNT) &&
  http --ignore-stdin --check-status https://api.example.com/ Authorization:@<(printf 'Bearer %s' "$token")
"#,
        )],
    },
    Consumer {
        name: "kubectl",
        about: "kubectl, and every client with its exec plugins, with the token",
        needs: "kubectl 1.22 or newer (older ones: v1beta1); a context with this user",
        parts: &[(
            "~/.kube/config",
            r"users:
- name: ACCOUNT
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: tokenctl
      args: [get, ACCOUNT, --format, kubernetes]
      interactiveMode: Never
",
        )],
    },
    Consumer {
        name: "mbsync",
        about: "isync with the token as password",
        needs: "a mail server that takes it so; another takes AuthMechs XOAUTH2 and a SASL plugin; replace host and user",
        parts: &[(
            "~/.mbsyncrc",
            r#"IMAPAccount mail
Host imap.example.com
User you@example.com
AuthMechs LOGIN
PassCmd "tokenctl get ACCOUNT"
"#,
        )],
    },
    Consumer {
        name: "msmtp",
        about: "mail sent with the token, by XOAUTH2",
        needs: "msmtp 1.8.11 or newer; replace host and addresses",
        parts: &[(
            "~/.msmtprc, which only you can read",
            r#"account default
host smtp.example.com
port 587
tls on
auth xoauth2
user you@example.com
from you@example.com
passwordeval "tokenctl get ACCOUNT"
"#,
        )],
    },
    Consumer {
        name: "mutt",
        about: "mail sent and read with the token, by XOAUTH2",
        needs: "mutt 2.0 or newer; replace hosts and addresses",
        parts: &[(
            "~/.muttrc",
            r#"set from = "you@example.com"
set smtp_url = "smtp://you@example.com@smtp.example.com:587/"
set smtp_authenticators = "xoauth2"
set smtp_oauth_refresh_command = "tokenctl get ACCOUNT"
set imap_user = "you@example.com"
set imap_authenticators = "xoauth2"
set imap_oauth_refresh_command = "tokenctl get ACCOUNT"
"#,
        )],
    },
    Consumer {
        name: "npm",
        about: "packages of a registry that takes the token",
        needs: "nothing else; replace the scope and the host",
        parts: &[
            (
                ".npmrc",
                "@example:registry=https://npm.example.com/\n//npm.example.com/:_authToken=${NPM_TOKEN}\n",
            ),
            (
                "a shell",
                "tokenctl exec ACCOUNT=NPM_TOKEN -- npm install @example/package\n",
            ),
        ],
    },
    Consumer {
        name: "oidc-agent",
        about: "a command with the token of oidc-token, or a program with a library of oidc-agent",
        needs: "oidc-token, from oidc-agent-cli in Debian; replace the command",
        parts: &[
            (
                "the daemon's configuration, unless tokend-oidc-agent.socket is enabled",
                "[listen]\noidc_agent = \"/run/tokend/oidc-agent.sock\"\n",
            ),
            (
                "a shell script",
                "export OIDC_SOCK=/run/tokend/oidc-agent.sock\nACCESS_TOKEN=$(oidc-token ACCOUNT) && export ACCESS_TOKEN && COMMAND\n",
            ),
        ],
    },
    Consumer {
        name: "pip",
        about: "packages of an index that takes the token as password",
        needs: "a session with XDG_RUNTIME_DIR; replace host and package",
        parts: &[(
            "a shell script",
            r#"export NETRC="$XDG_RUNTIME_DIR/pip-netrc"
tokenctl get ACCOUNT --format netrc --machine pypi.example.com --output "$NETRC" &&
  pip install --no-input --index-url https://pypi.example.com/simple/ PACKAGE
"#,
        )],
    },
    Consumer {
        name: "pip-keyring",
        about: "packages of an index that takes the token as password, asked for when it is needed",
        needs: "pip 23.1 or newer; replace host and package",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
            ),
            (
                "a shell",
                r#"mkdir -p ~/.local/lib/tokend &&
  ln -sf "$(command -v tokenctl)" ~/.local/lib/tokend/keyring
"#,
            ),
            (
                "a shell script",
                r#"export PATH="$HOME/.local/lib/tokend:$PATH"
pip install --no-input --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ PACKAGE
"#,
            ),
        ],
    },
    Consumer {
        name: "prometheus",
        about: "a server that takes the token, scraped by Prometheus, which reads it from a file",
        needs: "a rule for that unit or user in the account's allow; replace the target",
        parts: &[
            (
                "/etc/tokend/sinks.d/prometheus.toml",
                r#"account = "ACCOUNT"
path = "/run/tokend-sink/prometheus/token"
"#,
            ),
            (
                "/etc/systemd/system/tokend-sink@prometheus.service.d/user.conf",
                r"[Service]
User=prometheus
",
            ),
            (
                "a shell",
                "sudo systemctl daemon-reload && sudo systemctl enable --now tokend-sink@prometheus.service\n",
            ),
            (
                "prometheus.yml",
                r"scrape_configs:
- job_name: example
  scheme: https
  authorization:
    credentials_file: /run/tokend-sink/prometheus/token
  static_configs:
  - targets: [metrics.example.com]
",
            ),
        ],
    },
    Consumer {
        name: "python",
        about: "a program in Python that asks an API with the token",
        needs: "Python 3.7 or newer; replace the address",
        parts: &[(
            "a Python program",
            r#"import subprocess
import urllib.request

said = subprocess.run(["tokenctl", "get", "ACCOUNT"], check=True, stdout=subprocess.PIPE, text=True)
headers = {"Authorization": "Bearer " + said.stdout.strip()}
request = urllib.request.Request("https://api.example.com/", headers=headers)
with urllib.request.urlopen(request) as answer:
    print(answer.read().decode())
"#,
        )],
    },
    Consumer {
        name: "request",
        about: "a request with the token, which reports a refusal and tries once more",
        needs: "nothing else; replace the host everywhere",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://api.example.com\"\n",
            ),
            (
                "a shell script",
                r#"tokenctl request GET https://api.example.com/
"#,
            ),
        ],
    },
    Consumer {
        name: "shell",
        about: "a shell script with the token in ACCESS_TOKEN",
        needs: "nothing else; replace the program",
        parts: &[(
            "a shell script",
            r#"vars=$(tokenctl get ACCOUNT --format env) || exit
eval "$vars"
/usr/local/bin/report
"#,
        )],
    },
    Consumer {
        name: "systemd",
        about: "a service with the token in ACCESS_TOKEN",
        needs: "a user or unit that may have the token; replace the program",
        parts: &[(
            "/etc/systemd/system/report.service",
            r"[Unit]
Wants=tokend.socket
After=tokend.socket

[Service]
ExecStart=tokenctl exec ACCOUNT -- /usr/local/bin/report
",
        )],
    },
    Consumer {
        name: "systemd-creds",
        about: "a service that finds the token in a file, which systemd gets for it",
        needs: "tokend-credentials.socket, and the rule { unit = \"report.service\" }; replace the program",
        parts: &[(
            "/etc/systemd/system/report.service",
            r"[Unit]
Wants=tokend-credentials.socket
After=tokend-credentials.socket

[Service]
LoadCredential=ACCOUNT:/run/tokend/credentials.sock
ExecStart=/usr/local/bin/report --token-file %d/ACCOUNT
",
        )],
    },
    Consumer {
        name: "terraform",
        about: "Terraform and OpenTofu at a registry or a backend that takes the token",
        needs: "a host that is the account's as a whole, which you replace; TF_LOG=warn shows why there is no token",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://terraform.example.com\"\n",
            ),
            (
                "~/.terraformrc",
                r#"credentials_helper "tokenctl" {}
"#,
            ),
            (
                "a shell",
                r#"mkdir -p ~/.terraform.d/plugins &&
  ln -sf "$(command -v terraform-credentials-tokenctl)" ~/.terraform.d/plugins/
"#,
            ),
        ],
    },
    Consumer {
        name: "twine",
        about: "uploads to an index that takes the token as password",
        needs: "the backend of keyring in client/keyring, which pip installs; replace the host everywhere",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
            ),
            (
                "a shell script",
                r#"twine upload --non-interactive --verbose --repository-url https://pypi.example.com/legacy/ dist/*
"#,
            ),
        ],
    },
    Consumer {
        name: "uv",
        about: "packages of an index that takes the token as password, for uv",
        needs: "uv 0.4 or newer; replace the host everywhere, and the package",
        parts: &[
            (
                CONFIGURATION,
                "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
            ),
            (
                "a shell",
                r#"mkdir -p ~/.local/lib/tokend &&
  ln -sf "$(command -v tokenctl)" ~/.local/lib/tokend/keyring
"#,
            ),
            (
                "a shell script",
                r#"export PATH="$HOME/.local/lib/tokend:$PATH"
uv pip install --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ PACKAGE
"#,
            ),
        ],
    },
    Consumer {
        name: "wget",
        about: "a request with the token",
        needs: "nothing else; replace the address",
        parts: &[(
            "a shell script",
            r#"trap 'exit 1' HUP INT TERM
rc=$(mktemp) && trap 'rm -f "$rc"' EXIT
header=$(tokenctl get ACCOUNT --format header) &&
  printf 'header = %s\n' "$header" > "$rc" &&
  wget -qO- --config="$rc" https://api.example.com/
"#,
        )],
    },
];
