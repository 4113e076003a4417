//! Consumers that people and scripts start: clients of HTTP and mail, languages, assistants.
//!
//! Owns their entries; the rules for them are in `consumer`.

use super::consumer::{CONFIGURATION, Consumer};

pub(super) const ANSIBLE: Consumer = Consumer {
    name: "ansible",
    about: "a task that asks an API with the token",
    needs: "tokenctl on the control node; replace the address",
    parts: &[(
        "a list of tasks",
        r#"- name: Ask the API
  ansible.builtin.uri:
    url: https://api.example.com/
    follow_redirects: none
    headers:
      Authorization: "Bearer {{ lookup('ansible.builtin.pipe', 'tokenctl get ACCOUNT') }}"
  no_log: true
"#,
    )],
};

pub(super) const CLAUDE_CODE: Consumer = Consumer {
    name: "claude-code",
    about: "Claude Code with the token as its API key",
    needs: "a token that lives longer than five minutes, since Claude Code keeps it so long",
    parts: &[(
        "~/.claude/settings.json",
        r#"{ "apiKeyHelper": "tokenctl get ACCOUNT --min-validity 5m" }
"#,
    )],
};

pub(super) const CLAUDE_MCP: Consumer = Consumer {
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
};

pub(super) const CRON: Consumer = Consumer {
    name: "cron",
    about: "a job with the token in ACCESS_TOKEN",
    needs: "tokenctl in /usr/bin, where cron looks; replace the program",
    parts: &[(
        "the crontab of the user who may have the token",
        "*/10 * * * * tokenctl exec ACCOUNT -- /usr/local/bin/report\n",
    )],
};

pub(super) const CURL: Consumer = Consumer {
    name: "curl",
    about: "a request with the token",
    needs: "nothing else; replace the address",
    parts: &[(
        "a shell script",
        r#"curlrc=$(tokenctl get ACCOUNT --format curl) &&
  printf '%s\n' "$curlrc" | curl -fsS -K - https://api.example.com/
"#,
    )],
};

pub(super) const GO: Consumer = Consumer {
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
	// It follows no redirect, which would take the token along.
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		log.Fatal(answer.Status)
	}
	io.Copy(os.Stdout, answer.Body)
}
"#,
    )],
};

pub(super) const HTTPIE: Consumer = Consumer {
    name: "httpie",
    about: "a request with the token",
    needs: "HTTPie 3.0 or newer, and bash; replace the address",
    parts: &[(
        "a bash script",
        r#"token=$(tokenctl get ACCOUNT) &&
  http --ignore-stdin --check-status https://api.example.com/ Authorization:@<(printf 'Bearer %s' "$token")
"#,
    )],
};

pub(super) const MBSYNC: Consumer = Consumer {
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
};

pub(super) const MSMTP: Consumer = Consumer {
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
};

pub(super) const MUTT: Consumer = Consumer {
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
};

pub(super) const OIDC_AGENT: Consumer = Consumer {
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
};

pub(super) const PYTHON: Consumer = Consumer {
    name: "python",
    about: "a program in Python that asks an API with the token",
    needs: "Python 3.7 or newer; replace the address",
    parts: &[(
        "a Python program",
        r#"import subprocess
import urllib.request

said = subprocess.run(["tokenctl", "get", "ACCOUNT"], check=True, stdout=subprocess.PIPE, text=True)
request = urllib.request.Request("https://api.example.com/")
request.add_unredirected_header("Authorization", "Bearer " + said.stdout.strip())
with urllib.request.urlopen(request) as answer:
    print(answer.read().decode())
"#,
    )],
};

pub(super) const REQUEST: Consumer = Consumer {
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
};

pub(super) const SHELL: Consumer = Consumer {
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
};

pub(super) const WGET: Consumer = Consumer {
    name: "wget",
    about: "a request with the token",
    needs: "nothing else; replace the address",
    parts: &[(
        "a shell script",
        r#"trap 'exit 1' HUP INT TERM
rc=$(mktemp) && trap 'rm -f "$rc"' EXIT
header=$(tokenctl get ACCOUNT --format header) &&
  printf 'header = %s\n' "$header" > "$rc" &&
  wget -qO- --max-redirect=0 --config="$rc" https://api.example.com/
"#,
    )],
};
